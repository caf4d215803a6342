/*
 * Protocol buffer messages, gzip'ed, onto a stream. A message is bytes that grow field by field;
 * the outermost one is a stream of its fields, so that nothing large is ever in memory. Layer 1.
 *
 * Own code rather than protobuf-c: that needs its compiler at build time, a copy of the .proto, and
 * the whole profile as a tree of structures before the first byte; writing the wire format takes
 * the forty lines below.
 */
#ifndef REPORT_PROTO_H
#define REPORT_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <zlib.h>

/* All zero is empty; reused by setting `used` to 0. */
struct proto {
    unsigned char *bytes;
    size_t used, room;
};

void proto_fini(struct proto *message);

/* A field whose value is 0 or empty is left out: that is its meaning. */
void proto_integer(struct proto *message, unsigned field, uint64_t value);
void proto_bytes(struct proto *message, unsigned field, const void *bytes, size_t count);
void proto_message(struct proto *message, unsigned field, const struct proto *part);
/* An element of a packed field; the elements' bytes are then put with proto_message. */
void proto_element(struct proto *elements, uint64_t value);
/* An element of a list, which is there even where it is empty. */
void proto_listed(struct proto *message, unsigned field, const void *bytes, size_t count);

struct proto_stream {
    FILE *to;
    z_stream zip;
    bool failed;
};

void proto_stream_init(struct proto_stream *stream, FILE *to);
void proto_stream_put(struct proto_stream *stream, const void *bytes, size_t count);
/* The end; false if anything failed, on the stream too. */
bool proto_stream_fini(struct proto_stream *stream);

#endif
