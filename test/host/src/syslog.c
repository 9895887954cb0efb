/*
 * Listeners in place of in_syslog. A datagram is a message. A tcp stream is split at line ends,
 * or by RFC 6587 octet counts if it starts with one. As in in_syslog a NUL ends a line too and
 * empty lines are skipped. Unlike in_syslog it loses nothing: it keeps a last line without end,
 * a line beyond the limit (which is cut), and the rest of a stream after a wrong count.
 */
#include "host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE 65536
#define MESSAGE_MAX (1024 * 1024)
#define CONNECTIONS_MAX 1024
#define HOLD_MS 100                   /* longest time that a record waits for others */
#define CHUNK_BYTES_MAX (4 * 1024 * 1024)
#define COUNT_DIGITS_MAX 9
#define DRAIN_ROUNDS 256

enum framing { UNKNOWN, LINES, COUNTED };

struct connection {
    int fd;
    enum framing framing;
    struct buffer in;
    size_t done;       /* bytes of in that are processed */
    size_t scanned;    /* bytes of in without a line end, from done on */
    bool in_frame;     /* COUNTED: the count was read */
    size_t frame_left; /* bytes still missing of this frame */
};

static struct {
    const struct options *opt;
    int udp, tcp;
    struct connection *conns[CONNECTIONS_MAX];
    size_t conn_count;
    struct chunk chunk;
    long due; /* when the chunk must leave, in ms of the monotonic clock */
} ls = {.udp = -1, .tcp = -1};

static long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

static void flush_chunk(void)
{
    if (ls.chunk.records > 0) {
        chunk_seal(&ls.chunk, ls.opt);
        pipeline_submit(&ls.chunk);
    }
}

static void message(const unsigned char *data, size_t len)
{
    if (len == 0) {
        return;
    }
    if (ls.chunk.records == 0) {
        ls.due = now_ms() + HOLD_MS;
    }
    chunk_add(&ls.chunk, ls.opt, data, len);
    if (ls.chunk.records >= (size_t)ls.opt->chunk || ls.chunk.bytes.len >= CHUNK_BYTES_MAX) {
        flush_chunk();
    }
}

/* Length of an octet count with its space at the start of the text; 0 if there is none, -1 if more bytes are needed. */
static int count_length(const unsigned char *text, size_t len, size_t *count)
{
    size_t i = 0, n = 0;

    for (; i < len && text[i] >= '0' && text[i] <= '9'; i++) {
        n = n * 10 + (size_t)(text[i] - '0');
        if (i == COUNT_DIGITS_MAX || text[0] == '0') {
            return 0;
        }
    }
    if (i == len) {
        return -1;
    }
    *count = n;
    return i > 0 && text[i] == ' ' ? (int)i + 1 : 0;
}

/*
 * A stream is octet counted if it begins with a count and a space: lines of syslog
 * senders begin with <PRI>, a date or a pair instead. False if more bytes are needed.
 */
static bool find_framing(struct connection *c)
{
    size_t count;
    int n;

    if (c->framing != UNKNOWN) {
        return true;
    }
    if (ls.opt->octet_counting) {
        c->framing = COUNTED;
        return true;
    }
    n = count_length(c->in.data, c->in.len, &count);
    if (n >= 0) {
        c->framing = n > 0 ? COUNTED : LINES;
    }
    return n >= 0;
}

static void take_lines(struct connection *c)
{
    for (size_t i = c->done + c->scanned; i < c->in.len; i++) {
        unsigned char b = c->in.data[i];
        if (b == '\n' || b == '\0') {
            message(c->in.data + c->done, i - c->done);
            c->done = i + 1;
        } else if (i + 1 - c->done > MESSAGE_MAX) {
            host_log(LOG_WARN, "[host] a line is longer than %d bytes and is cut", MESSAGE_MAX);
            message(c->in.data + c->done, i - c->done);
            c->done = i;
        }
    }
    c->scanned = c->in.len - c->done;
}

static void take_counted(struct connection *c)
{
    while (c->done < c->in.len) {
        unsigned char *at = c->in.data + c->done;
        size_t left = c->in.len - c->done;

        if (!c->in_frame) {
            if (*at == '\n') { /* some senders also end a counted frame with a line end */
                c->done++;
                continue;
            }
            int n = count_length(at, left, &c->frame_left);
            if (n < 0) {
                return;
            }
            if (n == 0) {
                host_log(LOG_WARN, "[host] invalid octet-counting length: the rest of the stream is read as lines");
                c->framing = LINES;
                c->scanned = 0;
                take_lines(c);
                return;
            }
            c->done += (size_t)n;
            c->in_frame = true;
            continue;
        }
        size_t part = c->frame_left < MESSAGE_MAX ? c->frame_left : MESSAGE_MAX;
        if (left < part) {
            return;
        }
        message(at, part);
        c->done += part;
        c->frame_left -= part;
        c->in_frame = c->frame_left > 0;
    }
}

static void take_messages(struct connection *c, bool at_end)
{
    if (find_framing(c) || at_end) {
        if (c->framing == COUNTED) {
            take_counted(c);
        } else {
            take_lines(c);
        }
    }
    if (at_end && c->done < c->in.len) {
        if (c->framing == COUNTED) {
            host_log(LOG_WARN, "[host] a connection ended within a counted frame; its beginning is kept");
        }
        message(c->in.data + c->done, c->in.len - c->done);
        c->done = c->in.len;
    }
    if (c->done > 0) {
        memmove(c->in.data, c->in.data + c->done, c->in.len - c->done);
        c->in.len -= c->done;
        c->done = 0;
    }
}

/* Reads once. False when the connection is closed and its last message was processed. */
static bool serve(struct connection *c)
{
    buffer_reserve(&c->in, READ_SIZE);
    ssize_t n = recv(c->fd, c->in.data + c->in.len, READ_SIZE, MSG_DONTWAIT);
    if (n > 0) {
        c->in.len += (size_t)n;
        take_messages(c, false);
        return true;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    take_messages(c, true);
    return false;
}

static void hang_up(size_t i)
{
    struct connection *c = ls.conns[i];

    close(c->fd);
    buffer_free(&c->in);
    free(c);
    ls.conns[i] = ls.conns[--ls.conn_count];
}

static void read_datagrams(void)
{
    static unsigned char datagram[READ_SIZE];

    for (int i = 0; i < 1000; i++) { /* then let connections proceed */
        ssize_t n = recv(ls.udp, datagram, sizeof datagram, MSG_DONTWAIT);
        if (n < 0) {
            return;
        }
        message(datagram, (size_t)n);
    }
}

static bool accept_one(void)
{
    if (ls.conn_count == CONNECTIONS_MAX) {
        return false;
    }
    int fd = accept4(ls.tcp, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return false;
    }
    struct connection *c = host_alloc(sizeof *c);
    c->fd = fd;
    ls.conns[ls.conn_count++] = c;
    return true;
}

/* "host:port", "[v6]:port", ":port"; the parts are malloc memory. */
static bool split_address(const char *address, char **host, char **port)
{
    const char *colon = strrchr(address, ':');

    if (colon == NULL || colon[1] == '\0') {
        return false;
    }
    size_t len = (size_t)(colon - address);
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    }
    *host = strndup(address, len);
    *port = host_strdup(colon + 1);
    return true;
}

/* Prints the bound address: port 0 means any free port. */
static void print_bound(const char *kind, int fd)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    char host[INET6_ADDRSTRLEN] = "?", port[8] = "?";

    getsockname(fd, (struct sockaddr *)&sa, &len);
    getnameinfo((struct sockaddr *)&sa, len, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    fprintf(stderr, sa.ss_family == AF_INET6 ? "listening %s [%s]:%s\n" : "listening %s %s:%s\n", kind, host, port);
}

static int bind_one(const struct addrinfo *ai)
{
    int one = 1, room = 8 * 1024 * 1024;
    int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -1;
    }
    if (ai->ai_socktype == SOCK_STREAM) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    } else {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    }
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && (ai->ai_socktype != SOCK_STREAM || listen(fd, 128) == 0)) {
        return fd;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* A bound socket, or -1 after an error was logged. */
static int listen_on(const char *kind, int type, const char *address)
{
    struct addrinfo want = {.ai_socktype = type, .ai_flags = AI_PASSIVE}, *found = NULL;
    char *host, *port;
    int fd = -1;

    if (!split_address(address, &host, &port)) {
        host_log(LOG_ERROR, "[host] %s is no address: host:port is needed", address);
        return -1;
    }
    int err = getaddrinfo(*host == '\0' ? NULL : host, port, &want, &found);
    if (err != 0) {
        host_log(LOG_ERROR, "[host] %s: %s", address, gai_strerror(err));
    }
    for (const struct addrinfo *ai = found; ai != NULL && fd < 0; ai = ai->ai_next) {
        fd = bind_one(ai);
    }
    if (err == 0 && fd < 0) {
        host_log(LOG_ERROR, "[host] cannot listen on %s %s: %m", kind, address);
    }
    if (fd >= 0) {
        print_bound(kind, fd);
    }
    freeaddrinfo(found);
    free(host);
    free(port);
    return fd;
}

bool syslog_open(const struct options *opt)
{
    ls.opt = opt;
    if (opt->syslog_udp != NULL && (ls.udp = listen_on("udp", SOCK_DGRAM, opt->syslog_udp)) < 0) {
        return false;
    }
    if (opt->syslog_tcp != NULL && (ls.tcp = listen_on("tcp", SOCK_STREAM, opt->syslog_tcp)) < 0) {
        return false;
    }
    return true;
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}

/*
 * Processes everything that has arrived, incomplete lines included. The number of rounds covers
 * what the kernel can buffer: a sender that never pauses must not prevent the end.
 */
static void drain(void)
{
    for (int round = 0; round < DRAIN_ROUNDS && ls.udp >= 0 && readable(ls.udp); round++) {
        read_datagrams();
    }
    while (ls.tcp >= 0 && accept_one()) {
    }
    for (size_t i = 0; i < ls.conn_count; i++) {
        struct connection *c = ls.conns[i];
        for (int round = 0; round < DRAIN_ROUNDS && readable(c->fd) && serve(c); round++) {
        }
        take_messages(c, true);
    }
    while (ls.conn_count > 0) {
        hang_up(0);
    }
}

void syslog_run(const struct options *opt)
{
    static struct pollfd fds[CONNECTIONS_MAX + 3];

    (void)opt;
    while (!stop_requested()) {
        size_t count = ls.conn_count;
        fds[0] = (struct pollfd){.fd = stop_fd(), .events = POLLIN};
        fds[1] = (struct pollfd){.fd = ls.udp, .events = POLLIN};
        fds[2] = (struct pollfd){.fd = count < CONNECTIONS_MAX ? ls.tcp : -1, .events = POLLIN};
        for (size_t i = 0; i < count; i++) {
            fds[3 + i] = (struct pollfd){.fd = ls.conns[i]->fd, .events = POLLIN};
        }
        long wait = ls.chunk.records == 0 ? -1 : ls.due - now_ms();
        if (poll(fds, 3 + count, ls.chunk.records > 0 && wait < 0 ? 0 : (int)wait) < 0 && errno != EINTR) {
            host_log(LOG_ERROR, "[host] poll: %m");
            status_raise(STATUS_FAILED);
            break;
        }
        if (fds[1].revents != 0) {
            read_datagrams();
        }
        for (size_t i = count; i-- > 0;) { /* from the end: closing a connection moves the last one */
            if (fds[3 + i].revents != 0 && !serve(ls.conns[i])) {
                hang_up(i);
            }
        }
        if (fds[2].revents != 0) {
            accept_one();
        }
        if (ls.chunk.records > 0 && now_ms() >= ls.due) {
            flush_chunk();
        }
    }
    drain();
    flush_chunk();
    close(ls.udp);
    close(ls.tcp);
}
