/* See origin.h. */
#include "origin.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image.h"
#include "keys.h"
#include "poolprof/segment.h"
#include "symbol_frame.h"
#include "symbol_variable.h"

#define DESCRIPTOR_BYTES 4096u /* libc's of a thread, at its thread pointer */
#define HEADERS_MOST 64u
#define FRAMES_MOST 256u /* of one stack */

/* A thread's frames, once they were asked for. */
struct frames {
    struct symbol_frame *items;
    size_t count;
};

/* A root that is called after the function whose frame it lies in. */
struct in_frame {
    uint32_t root;
    struct symbol_variable function;
};

struct finding {
    struct model *model;
    const struct graph *graph;
    uint32_t *roots;              /* by word */
    struct keys keys;             /* numbers: of the model's roots */
    struct symbol_variable *variables; /* words in modules' data ... */
    uint32_t *words;              /* ... and which they are */
    size_t variable_count;
    struct symbol_frames *walker;
    struct frames *frames;        /* by thread */
    struct in_frame *in_frames;
    size_t in_frame_count, in_frame_room;
    uint64_t tls_bytes;           /* below each thread pointer: the modules' thread-local variables */
};

/* What makes two words' roots one; no padding, it is compared as bytes. */
struct root_key {
    uint64_t kind, where, start;
};

/* As much as the modules that were there at the start have of them. */
static uint64_t tls_bytes_of(const char *path) {
    Elf64_Ehdr header;
    Elf64_Phdr parts[HEADERS_MOST];
    uint64_t bytes = 0;
    int fd = path[0] == '/' ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    if (fd < 0) return 0;
    bool good = pread(fd, &header, sizeof header, 0) == sizeof header &&
                header.e_phentsize == sizeof *parts && header.e_phnum <= HEADERS_MOST &&
                pread(fd, parts, header.e_phnum * sizeof *parts, (off_t)header.e_phoff) ==
                    (ssize_t)(header.e_phnum * sizeof *parts);
    close(fd);
    for (unsigned i = 0; good && i < header.e_phnum; i++)
        if (parts[i].p_type == PT_TLS && parts[i].p_align > 0)
            bytes += (parts[i].p_memsz + parts[i].p_align - 1) / parts[i].p_align * parts[i].p_align;
    return bytes;
}

static uint64_t find_tls_bytes(const struct model *model) {
    uint64_t bytes = 0;
    for (size_t i = 1; i < model->module_count; i++) bytes += tls_bytes_of(model->modules[i].path);
    return bytes;
}

static char *thread_text(const struct finding *finding, uint32_t thread) {
    if (thread >= finding->graph->thread_count) return NULL;
    return model_text(finding->model, finding->graph->thread_names[thread]);
}

/* Whether it is new. */
static bool set_root(struct finding *finding, size_t word, struct root_key key, const struct model_root *root) {
    bool is_new;
    finding->roots[word] = keys_number(&finding->keys, &key, sizeof key, &is_new);
    if (is_new) model_add_root(finding->model, *root);
    return is_new;
}

static void set_thread_root(struct finding *finding, size_t word, enum model_root_kind kind, uint32_t thread) {
    const struct model_root root = {.kind = kind, .thread = thread_text(finding, thread)};
    set_root(finding, word, (struct root_key){kind, thread, 0}, &root);
}

/* The frame that the address lies in; NULL: not known. */
static const struct symbol_frame *find_frame(const struct finding *finding, uint32_t thread, uint64_t address) {
    const struct graph *graph = finding->graph;
    struct frames *frames = &finding->frames[thread];
    if (frames->items == NULL) {
        frames->items = model_alloc(FRAMES_MOST, sizeof *frames->items);
        frames->count = symbol_frames_walk(finding->walker, &graph->threads[thread], &graph->stacks[thread],
                                           frames->items, FRAMES_MOST);
    }
    for (size_t i = 0; i < frames->count; i++)
        if (address - frames->items[i].start < frames->items[i].end - frames->items[i].start) return &frames->items[i];
    return NULL;
}

static void set_stack_root(struct finding *finding, size_t word, uint32_t thread, uint64_t address) {
    const struct symbol_frame *frame = find_frame(finding, thread, address);
    const struct model_root root = {.kind = MODEL_ROOT_STACK, .thread = thread_text(finding, thread),
                                    .module = frame != NULL ? frame->module : 0};
    const struct root_key key = {root.kind, thread, frame != NULL ? frame->start : 0};
    if (!set_root(finding, word, key, &root) || frame == NULL) return;
    finding->in_frames = model_grow(finding->in_frames, finding->in_frame_count, &finding->in_frame_room,
                                    sizeof *finding->in_frames);
    finding->in_frames[finding->in_frame_count++] = (struct in_frame){
        .root = finding->roots[word],
        .function = {.module = frame->module, .address = frame->address, .function = true}};
}

/* The thread in whose frames, or thread-local variables, the address lies. */
static bool find_thread(const struct finding *finding, uint64_t address, const struct mapping *mapping,
                        enum model_root_kind *kind, uint32_t *thread) {
    const struct graph *graph = finding->graph;
    uint64_t best = 0;
    bool found = false;
    for (uint32_t i = 0; i < graph->thread_count; i++) {
        const struct halted_thread *one = &graph->threads[i];
        if (address + finding->tls_bytes >= one->thread_pointer && address < one->thread_pointer + DESCRIPTOR_BYTES) {
            *kind = MODEL_ROOT_TLS;
            *thread = i;
            return true;
        }
        if (mapping == NULL || one->stack < mapping->start || one->stack > address || one->stack < best) continue;
        best = one->stack;
        *kind = MODEL_ROOT_STACK;
        *thread = i;
        found = true;
    }
    return found;
}

static uint32_t find_module(const struct model *model, uint64_t address) {
    for (size_t i = model->module_count; i-- > 1;) /* the one loaded last */
        if (address >= model->modules[i].start && address < model->modules[i].end) return (uint32_t)i;
    return 0;
}

/* Of mappings that hold roots and are of no module that the program has told of. Words are in the order of
   addresses. */
static void add_images(struct model *model, const struct graph *graph, const char *root) {
    const struct mapping *last = NULL;
    for (size_t i = 0; i < graph->root_count; i++) {
        const struct graph_root *word = &graph->roots[i];
        if (word->origin != GRAPH_MEMORY || (last != NULL && word->address - last->start < last->end - last->start))
            continue;
        last = maps_find(&graph->maps, word->address);
        if (last != NULL && find_module(model, word->address) == 0)
            image_add(model, &graph->maps, last, word->address, root);
    }
}

static void add_variable(struct finding *finding, size_t word, uint32_t module, uint64_t address) {
    finding->words[finding->variable_count] = (uint32_t)word;
    finding->variables[finding->variable_count++] = (struct symbol_variable){
        .module = module, .address = address - finding->model->modules[module].bias};
}

static void find_in_memory(struct finding *finding, size_t word) {
    uint64_t address = finding->graph->roots[word].address;
    const struct mapping *mapping = maps_find(&finding->graph->maps, address);
    enum model_root_kind kind;
    uint32_t thread, module;
    if (find_thread(finding, address, mapping, &kind, &thread)) {
        if (kind == MODEL_ROOT_STACK) set_stack_root(finding, word, thread, address);
        else set_thread_root(finding, word, kind, thread);
    } else if ((module = find_module(finding->model, address)) != 0) {
        add_variable(finding, word, module, address);
    } else {
        bool named = mapping != NULL && mapping->path[0] != 0;
        const struct model_root root = {.kind = MODEL_ROOT_MAPPED,
                                        .name = named ? model_text(finding->model, mapping->path) : NULL};
        set_root(finding, word, (struct root_key){root.kind, mapping != NULL ? mapping->start : 0, 0}, &root);
    }
}

/* Its name is the program's (poolprof_root). One in a variable is mostly told of as that: find_in_memory. */
static void find_region(struct finding *finding, size_t word, uint32_t number) {
    const struct graph *graph = finding->graph;
    struct model_root root = {.kind = MODEL_ROOT_REGISTERED,
                              .address = number < graph->region_count ? graph->regions[number] : 0};
    for (size_t i = 0; i < graph->named_count && root.name == NULL; i++)
        if (root.address - graph->named[i].start < graph->named[i].end - graph->named[i].start)
            root.name = model_text(finding->model, graph->named[i].name);
    set_root(finding, word, (struct root_key){root.kind, root.address, 0}, &root);
}

static void find_one(struct finding *finding, size_t word) {
    const struct graph_root *at = &finding->graph->roots[word];
    static const enum model_root_kind kinds[] = {
        [GRAPH_REGISTER] = MODEL_ROOT_REGISTER, [GRAPH_TLS] = MODEL_ROOT_TLS,
        [GRAPH_STACK] = MODEL_ROOT_STACK};
    if (at->origin == GRAPH_MEMORY) {
        find_in_memory(finding, word);
    } else if (at->origin == GRAPH_REGISTERED) {
        find_region(finding, word, at->which);
    } else if (at->origin == GRAPH_IGNORED) {
        const struct model_root root = {.kind = MODEL_ROOT_IGNORED};
        set_root(finding, word, (struct root_key){root.kind, 0, 0}, &root);
    } else if (at->origin == GRAPH_STACK && at->which < finding->graph->thread_count) {
        /* not covered: the largest object is held by a stack that was not looked at twice */
        set_stack_root(finding, word, at->which, at->address);
    } else {
        set_thread_root(finding, word, kinds[at->origin], at->which);
    }
}

/* Words are in the order of addresses: those of a module come one after the other. */
static void name_variables(struct finding *finding, const struct symbol_options *options) {
    symbol_variables(finding->model, finding->variables, finding->variable_count, options);
    for (size_t i = 0; i < finding->variable_count; i++) {
        const struct symbol_variable *variable = &finding->variables[i];
        const struct model_root root = {.kind = MODEL_ROOT_GLOBAL, .name = variable->name,
                                        .module = variable->module};
        uint64_t start = variable->name != NULL ? variable->start : UINT64_MAX;
        set_root(finding, finding->words[i], (struct root_key){root.kind, variable->module, start}, &root);
    }
}

static int by_module(const void *left, const void *right) {
    const struct in_frame *a = left, *b = right;
    return (a->function.module > b->function.module) - (a->function.module < b->function.module);
}

static void name_frames(struct finding *finding, const struct symbol_options *options) {
    size_t count = finding->in_frame_count;
    struct symbol_variable *functions = model_alloc(count, sizeof *functions);
    if (count > 1) qsort(finding->in_frames, count, sizeof *finding->in_frames, by_module);
    for (size_t i = 0; i < count; i++) functions[i] = finding->in_frames[i].function;
    symbol_variables(finding->model, functions, count, options);
    for (size_t i = 0; i < count; i++) finding->model->roots[finding->in_frames[i].root].name = functions[i].name;
    free(functions);
}

static void free_all(struct finding *finding) {
    for (size_t i = 0; i < finding->graph->thread_count; i++) free(finding->frames[i].items);
    free(finding->frames);
    free(finding->in_frames);
    symbol_frames_destroy(finding->walker);
    keys_fini(&finding->keys);
    free(finding->variables);
    free(finding->words);
}

uint32_t *origin_find(struct model *model, const struct graph *graph, const struct symbol_options *options) {
    static const struct symbol_options none;
    struct finding finding = {.model = model, .graph = graph};
    if (options == NULL) options = &none;
    finding.tls_bytes = find_tls_bytes(model);
    finding.roots = model_alloc(graph->root_count, sizeof *finding.roots);
    finding.variables = model_alloc(graph->root_count, sizeof *finding.variables);
    finding.words = model_alloc(graph->root_count, sizeof *finding.words);
    add_images(model, graph, options->root);
    finding.walker = symbol_frames_create(model, options);
    finding.frames = model_alloc(graph->thread_count, sizeof *finding.frames);
    for (size_t i = 0; i < graph->root_count; i++) find_one(&finding, i);
    name_variables(&finding, options);
    name_frames(&finding, options);
    free_all(&finding);
    return finding.roots;
}
