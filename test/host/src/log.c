/*
 * Log lines in Fluent Bit's format on stderr, and the helper functions which the
 * fluent-bit binary exports and a native filter may look up with dlsym.
 */
#include "host.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char *level_name(int level)
{
    static const char *const names[] = {"", "error", "warn", "info", "debug", "trace", "help"};

    return level >= 1 && level <= 6 ? names[level] : "unknown";
}

/* One write per line, so that lines of concurrent threads never mix. */
static void log_line(int level, const char *fmt, va_list args)
{
    char head[64], *body = NULL, *line = NULL;
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    if (strftime(head, sizeof head, "[%Y/%m/%d %H:%M:%S]", &tm) == 0 || vasprintf(&body, fmt, args) < 0) {
        return;
    }
    int len = asprintf(&line, "%s [%5s] %s\n", head, level_name(level), body);
    for (int done = 0; len > 0 && done < len;) {
        ssize_t n = write(STDERR_FILENO, line + done, (size_t)(len - done));
        if (n < 0 && errno != EINTR) {
            break;
        }
        done += n > 0 ? (int)n : 0;
    }
    free(body);
    free(line);
}

void host_log(int level, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    log_line(level, fmt, args);
    va_end(args);
}

/* The caller checks the level, as in Fluent Bit (5.1.1 flb_log.c). */
EXPORT void flb_log_print(int level, const char *file, int line, const char *fmt, ...)
{
    va_list args;

    (void)file;
    (void)line;
    va_start(args, fmt);
    log_line(level, fmt, args);
    va_end(args);
}

EXPORT int flb_errno_print(int errnum, const char *file, int line);
EXPORT int flb_errno_print(int errnum, const char *file, int line)
{
    host_log(LOG_ERROR, "[%s:%i errno=%i] %s", file, line, errnum, strerror(errnum));
    return errnum;
}

/* 1 and 0 for the usual words, -1 for any other text. */
EXPORT int flb_utils_bool(const char *text);
EXPORT int flb_utils_bool(const char *text)
{
    static const char *const yes[] = {"true", "yes", "on"}, *const no[] = {"false", "no", "off"};

    for (size_t i = 0; text != NULL && i < 3; i++) {
        if (strcasecmp(text, yes[i]) == 0) {
            return 1;
        }
        if (strcasecmp(text, no[i]) == 0) {
            return 0;
        }
    }
    return -1;
}

/* "2h" and similar in seconds; a plain number is seconds. */
EXPORT int flb_utils_time_to_seconds(const char *text);
EXPORT int flb_utils_time_to_seconds(const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);

    switch (tolower((unsigned char)*end)) {
    case 'd':
        return (int)(value * 86400);
    case 'h':
        return (int)(value * 3600);
    case 'm':
        return (int)(value * 60);
    default:
        return (int)value;
    }
}

/* "5M", "5MB" and similar in bytes, with powers of 1000 as in Fluent Bit; -1 if invalid. */
EXPORT int64_t flb_utils_size_to_bytes(const char *text);
EXPORT int64_t flb_utils_size_to_bytes(const char *text)
{
    char *end;

    if (text == NULL || *text == '\0') {
        return -1;
    }
    if (strcasecmp(text, "false") == 0) {
        return 0;
    }
    double value = strtod(text, &end);
    if (*end != '\0' && end[1] != '\0' && strcasecmp(end + 1, "b") != 0) {
        return -1;
    }
    switch (tolower((unsigned char)*end)) {
    case '\0':
        return (int64_t)value;
    case 'k':
        return (int64_t)(value * 1e3);
    case 'm':
        return (int64_t)(value * 1e6);
    case 'g':
        return (int64_t)(value * 1e9);
    default:
        return -1;
    }
}

/* Appends the value of the variable text, which may carry a :-default. */
static void add_variable(struct buffer *out, char *text)
{
    char *colon = strchr(text, ':'), *fallback = NULL;

    if (colon != NULL && colon[1] == '-') {
        *colon = '\0';
        fallback = colon + 2;
    }
    const char *value = getenv(text);
    if (value != NULL && !(fallback != NULL && *value == '\0')) {
        buffer_text(out, value);
    } else if (fallback != NULL) {
        buffer_text(out, fallback);
    } else {
        host_log(LOG_WARN, "[env] variable ${%s} is used but not set", text);
    }
}

char *env_translate(const char *value)
{
    struct buffer out = {0};

    for (;;) {
        const char *open = strstr(value, "${");
        const char *close = open == NULL ? NULL : strchr(open, '}');
        if (close == NULL || close == open + 2) {
            break;
        }
        buffer_add(&out, value, (size_t)(open - value));
        char *name = strndup(open + 2, (size_t)(close - open - 2));
        if (name != NULL) {
            add_variable(&out, name);
            free(name);
        }
        value = close + 1;
    }
    buffer_text(&out, value);
    buffer_add(&out, "", 1);
    return (char *)out.data;
}
