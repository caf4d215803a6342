/*
 * See text_stack.h. Left out, and said so where it happens: the runtime below main or a thread's
 * start, repetitions of a recursion, and the middle of stacks that would fill a screen.
 */
#include "text_stack.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "words.h"

#define INDENT "      "
#define NAME_WIDTH 60u /* longest name shown */
#define COLUMN_MAX 44u /* the places' column is at most here */
#define FUNCTIONS 2u  /* where there is no room for a stack: often the innermost is a wrapper of malloc */
#define LINES_MAX 40u  /* of one stack; longer ones lose their middle */
#define LINES_OUTER 6u /* of which from the outer end */

static const char *const runtime_names[] = {"_start",
                                            "__libc_start_main",
                                            "__libc_start_main_impl",
                                            "__libc_start_call_main",
                                            "start_thread",
                                            "clone",
                                            "__clone",
                                            "clone3",
                                            "__clone3",
                                            "__clone_internal"};

/* One line to be: a frame and how often it follows itself. */
struct line {
    const struct model_frame *frame;
    size_t repeats;
};

static const char *module_name(const struct text *text, const struct model_frame *frame) {
    if (frame->module >= text->model->module_count) return "";
    return words_base(text->model->modules[frame->module].path);
}

static bool is_runtime_name(const char *function) {
    for (size_t i = 0; i < sizeof runtime_names / sizeof *runtime_names; i++)
        if (strcmp(function, runtime_names[i]) == 0) return true;
    return false;
}

/* Frames of the runtime at the outer end. libc's own that have no name (it is stripped) count only
   together with one that has. */
static size_t runtime_frames(const struct text *text, const struct model_stack *stack) {
    size_t named = 0, i = 0;
    for (; i < stack->count; i++) {
        const struct model_frame *frame = &stack->frames[stack->count - 1 - i];
        bool nameless = frame->function == NULL &&
                        strncmp(module_name(text, frame), "libc.so", 7) == 0;
        if (frame->function != NULL && is_runtime_name(frame->function)) named = i + 1;
        else if (!nameless) break;
    }
    /* main has been reached if anything is left; a nameless libc frame just inside belongs to it.
     */
    if (named > 0) named = i;
    return named < stack->count ? named : 0;
}

static bool same_place(const struct model_frame *a, const struct model_frame *b) {
    if (a->function == NULL || b->function == NULL) return false;
    return strcmp(a->function, b->function) == 0 && a->line == b->line && a->module == b->module &&
           a->inlined == b->inlined;
}

static size_t make_lines(const struct model_stack *stack, size_t frames, struct line *lines) {
    size_t count = 0;
    for (size_t i = 0; i < frames; i++) {
        if (count > 0 && same_place(lines[count - 1].frame, &stack->frames[i])) {
            lines[count - 1].repeats++;
            continue;
        }
        lines[count++] = (struct line){.frame = &stack->frames[i]};
    }
    return count;
}

/* Path as short as it stays clear: relative to the program's directory, else its last three parts.
 */
static const char *short_path(const struct text *text, const char *path, const char **lead) {
    const char *cwd = text->model->process.cwd;
    size_t length = strlen(cwd);
    *lead = "";
    if (length > 1 && strncmp(path, cwd, length) == 0 && path[length] == '/')
        return path + length + 1;
    const char *at = path + strlen(path);
    for (int slashes = 0; at > path; at--) {
        if (*at != '/' || ++slashes < 3) continue;
        *lead = at > path ? "..." : "";
        return at;
    }
    return path;
}

static char *name_of(const struct model_frame *frame) {
    if (frame->function == NULL) return words_safe("?");
    char *safe = words_safe(frame->function), *name = words_shorten(safe, NAME_WIDTH);
    free(safe);
    return name;
}

static void put_location(const struct text *text, const struct model_frame *frame) {
    char *module = words_safe(module_name(text, frame));
    if (frame->file != NULL) {
        const char *lead;
        char *file = words_safe(short_path(text, frame->file, &lead));
        fprintf(text->to, "%s%s", lead, file);
        if (frame->line > 0) fprintf(text->to, ":%u", frame->line);
        if (module[0] != 0) fprintf(text->to, " (%s)", module);
        free(file);
    } else if (module[0] != 0) {
        fprintf(text->to, "(%s+0x%" PRIx64 ")", module, frame->address);
    } else {
        fprintf(text->to, "(0x%" PRIx64 ", in no module)", frame->address);
    }
    free(module);
}

static void put_line(const struct text *text, const struct line *line, int column) {
    char *name = name_of(line->frame);
    const char *mark = line->frame->inlined ? " [inlined]" : "";
    int pad = column - (int)strlen(name) - (int)strlen(mark);
    fprintf(text->to, INDENT "%s%s%s%*s  ", name, text->dim, mark, pad > 0 ? pad : 0, "");
    put_location(text, line->frame);
    fprintf(text->to, "%s\n", text->plain);
    if (line->repeats > 0)
        fprintf(text->to, INDENT "... the same %zu time%s more\n", line->repeats,
                line->repeats == 1 ? "" : "s");
    free(name);
}

static int column_of(const struct line *lines, size_t count) {
    size_t column = 0;
    for (size_t i = 0; i < count; i++) {
        char *name = name_of(lines[i].frame);
        size_t length = strlen(name) + (lines[i].frame->inlined ? sizeof " [inlined]" - 1 : 0);
        if (length > column && length <= COLUMN_MAX) column = length;
        free(name);
    }
    return (int)column;
}

void text_put_stack(const struct text *text, uint32_t index) {
    const struct model_stack *stack = model_stack(text->model, index);
    if (stack->count == 0) {
        fputs(INDENT "the stack is not known\n", text->to);
        return;
    }
    size_t runtime = runtime_frames(text, stack);
    struct line *lines = model_alloc(stack->count, sizeof *lines);
    size_t count = make_lines(stack, stack->count - runtime, lines);
    int column = column_of(lines, count);
    size_t hidden = count > LINES_MAX ? count - LINES_MAX : 0;
    for (size_t i = 0; i < count; i++) {
        if (hidden > 0 && i == LINES_MAX - LINES_OUTER) {
            fprintf(text->to, INDENT "... %zu lines more (all are in --format json)\n", hidden);
            i += hidden;
        }
        put_line(text, &lines[i], column);
    }
    if (runtime > 0)
        fprintf(text->to, INDENT "%s... %zu frame%s of the runtime%s\n", text->dim, runtime,
                runtime == 1 ? "" : "s", text->plain);
    if (stack->truncated) fputs(INDENT "... the outer frames are not known\n", text->to);
    free(lines);
}

void text_put_function(const struct text *text, uint32_t index) {
    const struct model_stack *stack = model_stack(text->model, index);
    if (stack->count == 0) {
        fputs("an unknown stack", text->to); /* not covered: a profile without the stack that it names */
        return;
    }
    size_t first = model_stack_first(stack);
    for (size_t i = first; i < stack->count && i < first + FUNCTIONS; i++) {
        char *name = name_of(&stack->frames[i]);
        if (i > first) fputs(" < ", text->to);
        if (stack->frames[i].function != NULL) fputs(name, text->to);
        else put_location(text, &stack->frames[i]);
        free(name);
    }
}

void text_put_place(const struct text *text, uint32_t index) {
    const struct model_stack *stack = model_stack(text->model, index);
    if (stack->count == 0) {
        fputs("the stack is not known", text->to);
        return;
    }
    const struct model_frame *frame = &stack->frames[model_stack_first(stack)];
    char *name = name_of(frame);
    fprintf(text->to, "%s  ", name);
    put_location(text, frame);
    free(name);
}
