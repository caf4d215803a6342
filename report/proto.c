/* See proto.h. Wire types: 0 varint, 2 bytes with their length in front. */
#include "proto.h"

#include <stdlib.h>
#include <string.h>

#include "model.h"

#define GZIP_WINDOW_BITS (15 + 16) /* zlib: 16 more is gzip's header and trailer */
#define GZIP_MEMORY 8
#define PIECE_BYTES (64u << 10)

void proto_fini(struct proto *message) {
    free(message->bytes);
    *message = (struct proto){0};
}

void proto_element(struct proto *elements, uint64_t value) {
    for (;; value >>= 7) {
        elements->bytes = model_grow(elements->bytes, elements->used, &elements->room, 1);
        elements->bytes[elements->used++] = (unsigned char)(value < 0x80 ? value : value | 0x80);
        if (value < 0x80) return;
    }
}

void proto_integer(struct proto *message, unsigned field, uint64_t value) {
    if (value == 0) return;
    proto_element(message, field << 3);
    proto_element(message, value);
}

void proto_listed(struct proto *message, unsigned field, const void *bytes, size_t count) {
    proto_element(message, field << 3 | 2);
    proto_element(message, count);
    while (message->room - message->used < count)
        message->bytes = model_grow(message->bytes, message->room, &message->room, 1);
    if (count > 0) memcpy(message->bytes + message->used, bytes, count);
    message->used += count;
}

void proto_bytes(struct proto *message, unsigned field, const void *bytes, size_t count) {
    if (count > 0) proto_listed(message, field, bytes, count);
}

void proto_message(struct proto *message, unsigned field, const struct proto *part) {
    proto_bytes(message, field, part->bytes, part->used);
}

/* ---- gzip ---- */

void proto_stream_init(struct proto_stream *stream, FILE *to) {
    *stream = (struct proto_stream){.to = to};
    stream->failed = deflateInit2(&stream->zip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW_BITS,
                                  GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK;
}

static void pass_on(struct proto_stream *stream, int flush) {
    unsigned char piece[PIECE_BYTES];
    do {
        stream->zip.next_out = piece;
        stream->zip.avail_out = sizeof piece;
        if (deflate(&stream->zip, flush) == Z_STREAM_ERROR) stream->failed = true;
        size_t made = sizeof piece - stream->zip.avail_out;
        if (fwrite(piece, 1, made, stream->to) != made) stream->failed = true;
    } while (stream->zip.avail_out == 0 && !stream->failed);
}

void proto_stream_put(struct proto_stream *stream, const void *bytes, size_t count) {
    const unsigned char *at = bytes;
    while (count > 0 && !stream->failed) {
        size_t now = count < PIECE_BYTES ? count : PIECE_BYTES;
        stream->zip.next_in = (unsigned char *)(uintptr_t)at; /* zlib only reads it */
        stream->zip.avail_in = (unsigned)now;
        pass_on(stream, Z_NO_FLUSH);
        at += now;
        count -= now;
    }
}

bool proto_stream_fini(struct proto_stream *stream) {
    if (!stream->failed) pass_on(stream, Z_FINISH);
    deflateEnd(&stream->zip);
    return !stream->failed && fflush(stream->to) == 0 && ferror(stream->to) == 0;
}
