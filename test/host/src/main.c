/* Options, signals, and the order of start and end. */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_int final_status;
static atomic_bool stopping;
static atomic_int signals;
static atomic_llong grace_ends; /* ms of the monotonic clock; 0 until a signal was noticed */
static long grace_seconds;
static int stop_pipe[2];
static pid_t child; /* --daemon: the process to which the attached parent forwards signals */

void status_raise(int status)
{
    int ok = STATUS_OK;

    atomic_compare_exchange_strong(&final_status, &ok, status);
}

int status_now(void)
{
    return atomic_load(&final_status);
}

void stop_request(void)
{
    atomic_store(&stopping, true);
}

bool stop_at_once(void)
{
    return atomic_load(&stopping);
}

bool stop_requested(void)
{
    return atomic_load(&stopping) || atomic_load(&signals) > 0;
}

int stop_fd(void)
{
    return stop_pipe[0];
}

/* The clock starts at the first call after a signal; a second signal ends the time at once. */
bool grace_over(void)
{
    struct timespec now;
    long long unset = 0;

    if (atomic_load(&signals) == 0) {
        return false;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    long long ms = (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    atomic_compare_exchange_strong(&grace_ends, &unset, ms + (long long)grace_seconds * 1000);
    return atomic_load(&signals) > 1 || ms >= atomic_load(&grace_ends);
}

static void on_signal(int number)
{
    int saved = errno;

    if (child > 0) {
        kill(child, number);
    } else {
        atomic_fetch_add(&signals, 1);
        if (write(stop_pipe[1], "", 1) < 0) {
            /* the pipe is full of earlier signals: it is already readable */
        }
    }
    errno = saved;
}

/*
 * Called before any object is opened, as in Fluent Bit. Unlike Fluent Bit it sets SA_ONSTACK,
 * which a Go runtime needs for handlers that interrupt its threads.
 */
static bool install_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_RESTART};

    if (pipe2(stop_pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        host_log(LOG_ERROR, "[host] pipe: %m");
        return false;
    }
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
    return true;
}

enum kind { TEXT, PAIR, NAME, COUNT, FLAG, RELEASE, LEVEL, STAMP };

struct option_row {
    const char *name, *argument;
    enum kind kind;
    size_t offset;
    long min, max; /* COUNT */
    const char *help;
};

#define AT(field) offsetof(struct options, field)

static const struct option_row rows[] = {
    {"--filter", "PATH", TEXT, AT(filter), 0, 0, "native filter; the file name starts with flb-"},
    {"--filter-prop", "K=V", PAIR, AT(filter_props), 0, 0, "option of the filter, repeatable; ${ENV} is replaced"},
    {"--filter-help", NULL, FLAG, AT(filter_help), 0, 0, "print the filter's options and end"},
    {"--output", "PATH", TEXT, AT(output), 0, 0, "Go output; the file name does not start with flb-"},
    {"--output-prop", "K=V", PAIR, AT(output_props), 0, 0, "option of the output, repeatable; ${ENV} is replaced"},
    {"--input", "FILE|-", TEXT, AT(input), 0, 0, "one line = one message, empty lines too, in order"},
    {"--syslog-udp", "ADDR", TEXT, AT(syslog_udp), 0, 0, "host:port to receive datagrams on; port 0 picks one"},
    {"--syslog-tcp", "ADDR", TEXT, AT(syslog_tcp), 0, 0, "host:port to receive streams on; port 0 picks one"},
    {"--octet-counting", NULL, FLAG, AT(octet_counting), 0, 0, "tcp: always RFC 6587 counts; default: detected from the first bytes"},
    {"--raw-chunk", "FILE", TEXT, AT(raw_chunk), 0, 0, "feed the file's bytes, untouched, as one chunk"},
    {"--dump-chunk", "FILE", TEXT, AT(dump_chunk), 0, 0, "write the bytes of all resulting chunks"},
    {"--chunk", "N", COUNT, AT(chunk), 1, 10000000, "messages per filter call (1000)"},
    {"--tag", "TAG", TEXT, AT(tag), 0, 0, "tag of all chunks (fortiems)"},
    {"--key", "NAME", NAME, AT(keys), 0, 0, "key of the raw line (log); log is sent as bin, any other as str; repeatable"},
    {"--extra", "K=V", PAIR, AT(extra), 0, 0, "text pair in every record, repeatable"},
    {"--time", "SEC[.NSEC]", STAMP, AT(time), 0, 0, "time of receipt of all messages (now)"},
    {"--old-form", NULL, FLAG, AT(old_form), 0, 0, "events as [time, record] instead of [[time, metadata], record]"},
    {"--group", NULL, FLAG, AT(group), 0, 0, "put the start and end marker of a group around every chunk"},
    {"--abi", "RELEASE", RELEASE, AT(abi), 0, 0, "2.2, 5.0.2 or 5.1.1 (5.1.1): layouts and symbols to imitate"},
    {"--instances", "N", COUNT, AT(instances), 1, 1000, "filter instances per thread, taken in turn (1)"},
    {"--chain", NULL, FLAG, AT(chain), 0, 0, "send every chunk through all instances, one after another"},
    {"--threads", "N", COUNT, AT(threads), 1, 256, "filter threads, each with its own instances (1)"},
    {"--reload", "N", COUNT, AT(reload), 0, 1000000, "reload everything after each of the first N chunks (0)"},
    {"--daemon", NULL, FLAG, AT(daemon), 0, 0, "fork between loading and init, as fluent-bit -d does, but stay attached"},
    {"--guard", NULL, FLAG, AT(guard), 0, 0, "make the filter's input read-only and end it at unreadable memory"},
    {"--repeat", "N", COUNT, AT(repeat), 1, LONG_MAX, "feed the input N times (1)"},
    {"--flush-threads", "N", COUNT, AT(flush_threads), 1, 256, "output threads with a chunk each (1)"},
    {"--retry-pause-ms", "MS", COUNT, AT(retry_pause_ms), 1, 30000, "first pause before a resend (200); doubles up to 30 s"},
    {"--grace", "SEC", COUNT, AT(grace), 0, 86400, "time for deliveries after SIGINT or SIGTERM (40); a second signal ends it"},
    {"--log-level", "LEVEL", LEVEL, AT(log_level), 0, 0, "error, warn, info or debug (info), as outputs may ask for it"},
    {"--quiet", NULL, FLAG, AT(quiet), 0, 0, "print no records"},
    {"--stats", NULL, FLAG, AT(stats), 0, 0, "print counts to stderr at the end"},
    {"--help", NULL, FLAG, AT(help), 0, 0, "print this"},
};

static const char intro[] =
    "Usage: fortiems-host [options]\n\n"
    "Stand-in for Fluent Bit: loads a native filter and a Go output through the same doors, feeds them\n"
    "event chunks shaped as in_syslog makes them, and prints every resulting record as a line of JSON:\n"
    "{\"@timestamp\": RFC 3339 in UTC with nanoseconds, ...record}. Logs go to stderr. Exactly one of\n"
    "--input, --raw-chunk and the two --syslog-... is needed.\n\n";

static const char outro[] =
    "\nText is printed as valid UTF-8: other bytes become U+FFFD. Bin is printed as text, ext as hex digits,\n"
    "NaN and infinities as null; group markers are not printed. A chunk for which the output answers\n"
    "FLB_RETRY is sent again, the same bytes, until it is delivered.\n\n"
    "SIGINT and SIGTERM: what has arrived is filtered, printed and delivered, then the host ends.\n\n"
    "Exit status: 0 the input has ended and everything is delivered; 1 something could not be loaded,\n"
    "started or read; 2 the filter returned a malformed chunk; 3 chunks are lost (FLB_ERROR, or no time\n"
    "left); 64 wrong options.\n";

static void print_help(void)
{
    fputs(intro, stdout);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s", rows[i].name, rows[i].argument != NULL ? " " : "",
                 rows[i].argument != NULL ? rows[i].argument : "");
        printf("  %-24s %s\n", left, rows[i].help);
    }
    fputs(outro, stdout);
}

static void __attribute__((noreturn)) usage(const char *fmt, const char *what, const char *value)
{
    fputs("fortiems-host: ", stderr);
    fprintf(stderr, fmt, what, value);
    fputs("; see --help\n", stderr);
    exit(STATUS_USAGE);
}

static bool all_digits(const char *text)
{
    return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static bool parse_count(const struct option_row *row, const char *text, long *out)
{
    errno = 0;
    long n = all_digits(text) ? strtol(text, NULL, 10) : -1;
    if (errno != 0 || n < row->min || n > row->max) {
        return false;
    }
    *out = n;
    return true;
}

/* "1700000000.5" is half a second past; the two last values are group markers, not times. */
static bool parse_time(const char *text, struct options *opt)
{
    char *copy = host_strdup(text), *dot = strchr(copy, '.');
    char nsec[10] = "000000000";
    bool fine = true;

    if (dot != NULL) {
        *dot++ = '\0';
        fine = all_digits(dot) && strlen(dot) <= 9;
        memcpy(nsec, dot, fine ? strlen(dot) : 0);
    }
    fine = fine && all_digits(copy) && strlen(copy) <= 10 && strtoll(copy, NULL, 10) < 0xfffffffe;
    if (fine) {
        opt->time = (struct timespec){strtoll(copy, NULL, 10), strtol(nsec, NULL, 10)};
        opt->fixed_time = true;
    }
    free(copy);
    return fine;
}

static bool parse_pair(const char *text, struct properties *to)
{
    const char *equals = strchr(text, '=');

    if (equals == NULL || equals == text) {
        return false;
    }
    char *key = strndup(text, (size_t)(equals - text));
    properties_add(to, key, equals + 1);
    free(key);
    return true;
}

static bool parse_word(const char *text, const char *const *words, int *out)
{
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static void add_name(struct names *names, const char *text)
{
    const char **more = host_alloc((names->len + 1) * sizeof *more);

    if (names->len > 0) {
        memcpy(more, names->at, names->len * sizeof *more);
    }
    free(names->at);
    more[names->len++] = text;
    names->at = more;
}

static bool apply(const struct option_row *row, const char *text, struct options *opt)
{
    static const char *const releases[] = {"2.2", "5.0.2", "5.1.1", NULL};
    static const char *const levels[] = {"off", "error", "warn", "info", "debug", NULL};
    void *field = (char *)opt + row->offset;
    int word;

    switch (row->kind) {
    case TEXT:
        *(const char **)field = text;
        return *text != '\0';
    case PAIR:
        return parse_pair(text, field);
    case NAME:
        add_name(field, text);
        return *text != '\0';
    case COUNT:
        return parse_count(row, text, field);
    case FLAG:
        *(bool *)field = true;
        return true;
    case STAMP:
        return parse_time(text, opt);
    case RELEASE:
        if (!parse_word(text, releases, &word)) {
            return false;
        }
        opt->abi = (enum host_abi)word;
        return true;
    case LEVEL:
        return parse_word(text, levels, field);
    }
    return false;
}

/* Finds the row of an argument; *value is the text after '=' in it, or NULL. */
static const struct option_row *find_row(const char *argument, const char **value)
{
    size_t len = strcspn(argument, "=");

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strlen(rows[i].name) == len && strncmp(argument, rows[i].name, len) == 0) {
            *value = argument[len] == '=' ? argument + len + 1 : NULL;
            return &rows[i];
        }
    }
    return NULL;
}

static void check_options(struct options *opt)
{
    int inputs = (opt->input != NULL) + (opt->raw_chunk != NULL) + (opt->syslog_udp != NULL || opt->syslog_tcp != NULL);

    if (opt->keys.len == 0) {
        add_name(&opt->keys, "log");
    }
    if (opt->filter_help) {
        return;
    }
    if (inputs != 1) {
        usage("%s%s", "exactly one of --input, --raw-chunk and --syslog-udp/--syslog-tcp is needed", "");
    }
    const char *file = opt->input != NULL ? opt->input : opt->raw_chunk;
    if (opt->repeat > 1 && file != NULL && strcmp(file, "-") == 0) {
        usage("%s%s", "--repeat needs a file that can be read again", "");
    }
    if (opt->group && opt->old_form) {
        usage("%s%s", "groups exist in the new form of events only", "");
    }
}

static void parse_options(int argc, char **argv, struct options *opt)
{
    *opt = (struct options){.chunk = 1000, .threads = 1, .instances = 1, .repeat = 1, .flush_threads = 1,
                            .retry_pause_ms = 200, .grace = 40, .tag = "fortiems", .abi = ABI_5_1_1,
                            .log_level = LOG_INFO};
    for (int i = 1; i < argc; i++) {
        const char *value = NULL;
        const struct option_row *row = find_row(argv[i], &value);
        if (row == NULL) {
            usage("unknown option '%s'%s", argv[i], "");
        }
        if (row->kind == FLAG && value != NULL) {
            usage("%s takes no value%s", row->name, "");
        }
        if (row->kind != FLAG && value == NULL) {
            if (i + 1 >= argc) {
                usage("%s needs %s", row->name, row->argument);
            }
            value = argv[++i];
        }
        if (!apply(row, value, opt)) {
            usage("%s: '%s' is not valid", row->name, value);
        }
    }
    if (opt->help) {
        print_help();
        exit(STATUS_OK);
    }
    check_options(opt);
}

/*
 * Threads started by the opened objects remain in the parent, as with fluent-bit -d. For the
 * tests the parent waits for the child and ends with its status.
 */
static bool become_daemon(void)
{
    int how;
    sigset_t both, before;

    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &both, &before); /* a signal before child is set would not be forwarded */
    pid_t pid = fork();
    if (pid < 0) {
        host_log(LOG_ERROR, "[host] fork: %m");
        return false;
    }
    if (pid > 0) {
        child = pid;
    } else {
        setsid();
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pid == 0) {
        host_log(LOG_INFO, "switching to background mode (PID=%ld)", (long)getpid());
        return true;
    }
    while (waitpid(pid, &how, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(how)) {
        host_log(LOG_ERROR, "[host] the background process was ended by signal %d", WTERMSIG(how));
    }
    _exit(WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how));
}

static void run(const struct options *opt)
{
    if (!abi_enter(opt->abi) || !pipeline_load(opt)) {
        status_raise(STATUS_FAILED);
        return;
    }
    if (opt->filter_help) {
        return;
    }
    if ((opt->daemon && !become_daemon()) || !pipeline_start() || !syslog_open(opt)) {
        status_raise(STATUS_FAILED);
        return;
    }
    if (opt->input != NULL) {
        input_lines(opt);
    } else if (opt->raw_chunk != NULL) {
        input_raw(opt);
    } else {
        syslog_run(opt);
    }
    if (atomic_load(&signals) > 0) {
        host_log(LOG_WARN, "[engine] caught a signal, service will shutdown in max %ld seconds", grace_seconds);
    }
}

int main(int argc, char **argv)
{
    struct options opt;

    parse_options(argc, argv, &opt);
    grace_seconds = opt.grace;
    if (!install_signals()) {
        return STATUS_FAILED;
    }
    run(&opt);
    pipeline_finish();
    if (opt.stats) {
        pipeline_print_stats();
    }
    properties_free(&opt.filter_props);
    properties_free(&opt.output_props);
    properties_free(&opt.extra);
    free(opt.keys.at);
    return status_now();
}
