/* Input from files: lines as messages, or bytes as one ready-made chunk. */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define READ_SIZE 65536

static int open_input(const char *path)
{
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        host_log(LOG_ERROR, "[host] %s: %m", path);
        status_raise(STATUS_FAILED);
    }
    return fd;
}

/* Appends the next bytes read; 0 at the end, after an error, or after a stop signal. */
static ssize_t read_some(int fd, const char *path, struct buffer *b)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = stop_fd(), .events = POLLIN}};

    for (;;) {
        if (stop_requested()) {
            return 0;
        }
        if (poll(fds, 2, -1) < 0 && errno != EINTR) {
            return 0;
        }
        if (stop_requested() || fds[0].revents == 0) {
            continue;
        }
        buffer_reserve(b, READ_SIZE);
        ssize_t n = read(fd, b->data + b->len, READ_SIZE);
        if (n >= 0) {
            b->len += (size_t)n;
            return n;
        }
        if (errno != EINTR && errno != EAGAIN) {
            host_log(LOG_ERROR, "[host] %s: %m", path);
            status_raise(STATUS_FAILED);
            return 0;
        }
    }
}

static void add_line(struct chunk *c, const struct options *opt, const void *line, size_t len)
{
    chunk_add(c, opt, line, len);
    if (c->records >= (size_t)opt->chunk) {
        chunk_seal(c, opt);
        pipeline_submit(c);
    }
}

/* Every line is a message, empty ones too; so is non-empty text after the last line end. */
static void lines_of(int fd, const struct options *opt)
{
    struct buffer in = {0};
    struct chunk c = {0};
    size_t scanned = 0;

    while (read_some(fd, opt->input, &in) > 0) {
        size_t start = 0;
        for (;;) {
            const unsigned char *end = memchr(in.data + scanned, '\n', in.len - scanned);
            if (end == NULL || stop_at_once()) {
                scanned = in.len;
                break;
            }
            size_t at = (size_t)(end - in.data);
            add_line(&c, opt, in.data + start, at - start);
            start = scanned = at + 1;
        }
        memmove(in.data, in.data + start, in.len - start);
        in.len -= start;
        scanned -= start;
    }
    if (in.len > 0 && !stop_at_once()) {
        add_line(&c, opt, in.data, in.len);
    }
    if (c.records > 0) {
        chunk_seal(&c, opt);
        pipeline_submit(&c);
    }
    buffer_free(&in);
}

void input_lines(const struct options *opt)
{
    for (long i = 0; i < opt->repeat && !stop_requested(); i++) {
        int fd = open_input(opt->input);
        if (fd < 0) {
            return;
        }
        lines_of(fd, opt);
        if (fd != STDIN_FILENO) {
            close(fd);
        }
    }
}

void input_raw(const struct options *opt)
{
    for (long i = 0; i < opt->repeat && !stop_requested(); i++) {
        struct chunk c = {0};
        int fd = open_input(opt->raw_chunk);
        if (fd < 0) {
            return;
        }
        while (read_some(fd, opt->raw_chunk, &c.bytes) > 0) {
        }
        if (fd != STDIN_FILENO) {
            close(fd);
        }
        c.records = render_chunk(NULL, c.bytes.data, c.bytes.len).records;
        pipeline_submit(&c);
    }
}
