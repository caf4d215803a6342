/*
 * The frames of a thread's stack: from the registers and the stack's words as a snapshot had them, by the call
 * frame information of the modules' files, of which only those with the right build-id count. One thread. Layer 1.
 */
#ifndef REPORT_SYMBOL_FRAME_H
#define REPORT_SYMBOL_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "graph.h"
#include "symbol.h"

struct symbol_frame {
    uint64_t start, end; /* of its part of the stack */
    uint32_t module;     /* of the model */
    uint64_t address;    /* of its code, in the module's file */
};

struct symbol_frames;
/* `options` stay the caller's. */
struct symbol_frames *symbol_frames_create(struct model *model, const struct symbol_options *options);
void symbol_frames_destroy(struct symbol_frames *frames);

/* The innermost first; how many there are. Ends early where something is not known. */
size_t symbol_frames_walk(struct symbol_frames *frames, const struct halted_thread *thread,
                          const struct graph_stack *stack, struct symbol_frame *to, size_t room);

#endif
