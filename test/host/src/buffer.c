/* Byte buffers, property lists and allocation. */
#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void *checked(void *p)
{
    if (p == NULL) {
        fputs("fortiems-host: out of memory\n", stderr);
        exit(STATUS_FAILED);
    }
    return p;
}

void *host_alloc(size_t size)
{
    return checked(calloc(1, size == 0 ? 1 : size));
}

char *host_strdup(const char *s)
{
    return checked(strdup(s));
}

void buffer_reserve(struct buffer *b, size_t extra)
{
    if (b->cap - b->len >= extra && b->data != NULL) {
        return;
    }
    size_t cap = b->cap == 0 ? 4096 : b->cap;
    while (cap - b->len < extra) {
        cap *= 2;
    }
    b->data = checked(realloc(b->data, cap));
    b->cap = cap;
}

void buffer_add(struct buffer *b, const void *data, size_t len)
{
    buffer_reserve(b, len);
    if (len > 0) {
        memcpy(b->data + b->len, data, len);
    }
    b->len += len;
}

void buffer_text(struct buffer *b, const char *text)
{
    buffer_add(b, text, strlen(text));
}

void buffer_free(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}

void properties_add(struct properties *p, const char *key, const char *value)
{
    p->at = checked(realloc(p->at, (p->len + 1) * sizeof *p->at));
    p->at[p->len++] = (struct property){host_strdup(key), host_strdup(value)};
}

const char *properties_get(const struct properties *p, const char *key)
{
    for (size_t i = 0; key != NULL && i < p->len; i++) {
        if (strcasecmp(p->at[i].key, key) == 0) {
            return p->at[i].value;
        }
    }
    return NULL;
}

void properties_free(struct properties *p)
{
    for (size_t i = 0; i < p->len; i++) {
        free(p->at[i].key);
        free(p->at[i].value);
    }
    free(p->at);
    *p = (struct properties){0};
}
