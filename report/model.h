/*
 * The report's model: what is known about one process, after aggregation, ready for any renderer.
 * Filled from a live segment (aggregate.c), from a profile file (profile.c) and by the watcher's
 * samples and alerts; symbolised by symbol.c; read by one renderer per format. Owns all it points
 * to. Ordinary C: malloc is fine here. Field names follow the JSON report (the contract).
 *
 * Ownership: the texts of frames and sites (function, file, tag, type, thread) belong to the
 * model's table of texts (model_text), so that a million equal names cost one; every other text is
 * malloc'ed on its own, may be replaced by free + strdup, and is freed by model_destroy.
 */
#ifndef REPORT_MODEL_H
#define REPORT_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A code location after symbolising. One address may give several (inlined) frames. */
struct model_frame {
    char *function;   /* demangled; NULL: not known */
    char *file;       /* NULL: not known */
    unsigned line;    /* 0: not known */
    uint32_t module;  /* index into model.modules; 0: in no module */
    uint64_t address; /* in the module (file's address space); for a call: inside the call
                         instruction, so that addr2line finds the caller's line */
    bool inlined;     /* this frame was inlined into the next one */
};

struct model_stack {
    struct model_frame *frames; /* innermost first; read them by model_stack() */
    size_t count;
    uint32_t leaf; /* its innermost node in model.tree, from which frames are made; 0: they are there */
    bool truncated;
    uint32_t site; /* its number in the segment; 0: it came from a profile */
};

/* The stacks of a profile as they are stored: a million of them in 30 MB. */
struct model_node {
    uint32_t parent, frame; /* ids; parent 0: outermost */
};
#define MODEL_UNFOLDED 256u
struct model_tree {
    struct model_frame *frames; /* by id, from 1 */
    size_t frame_count;
    struct model_node *nodes;   /* by id, from 1; parents come first */
    size_t node_count;
    uint32_t unfolded[MODEL_UNFOLDED]; /* the stacks whose frames were made last */
    unsigned unfolded_at;
};

struct model_module {
    char *path;
    uint64_t start, end, bias;
    uint8_t build_id[32];
    unsigned build_id_bytes;
    unsigned flags; /* PP_MODULE_* */
};

enum model_kind {
    MODEL_LOST,
    MODEL_INDIRECT,
    MODEL_POSSIBLE,
    MODEL_REACHABLE,
    MODEL_SUPPRESSED,
    MODEL_OUTSTANDING,
    MODEL_KIND_COUNT
};
extern const char *const model_kind_names[MODEL_KIND_COUNT];

/* Upper bounds of the age buckets, seconds; the last one is open. */
#define MODEL_AGE_COUNT 8
extern const double model_age_under_s[MODEL_AGE_COUNT];

/* Of one age; most sites have one or two. */
struct model_age {
    uint32_t next; /* the site's next older one: an index into the same list; 0: none */
    uint32_t bucket;
    uint64_t objects, bytes;
};
struct model_ages {
    struct model_age *items; /* from 1 */
    size_t count, room;
};

/* Where what keeps objects alive begins. */
enum model_root_kind {
    MODEL_ROOT_GLOBAL,   /* a variable */
    MODEL_ROOT_STACK,
    MODEL_ROOT_REGISTER,
    MODEL_ROOT_TLS,
    MODEL_ROOT_REGISTERED, /* the program has said that it is one */
    MODEL_ROOT_IGNORED,  /* none: the program has said that the object is no leak */
    MODEL_ROOT_MAPPED,   /* other memory */
    MODEL_ROOT_NAMED,    /* none: the program wants counted what can be reached from it */
    MODEL_ROOT_LOST,     /* nothing points to it any more */
    MODEL_ROOT_COUNT
};
extern const char *const model_root_names[MODEL_ROOT_COUNT];

struct model_root {
    enum model_root_kind kind;
    char *name;       /* of the variable, the function whose frame it is, the mapping; NULL: not known, or none */
    uint64_t address; /* of a registered region; 0: of another kind */
    char *thread;     /* NULL: no thread's */
    uint32_t module;  /* index into model.modules; 0: in no module */
    uint64_t retained_objects, retained_bytes; /* what would go with it: held by nothing else */
    uint64_t reached_objects, reached_bytes; /* of a named one: all that can be reached from it */
    uint32_t first_count, count_count;       /* in model.counts: that by site, by class */
};

/* Of what a named root reaches, a part. */
struct model_count {
    uint32_t site; /* id; 0: of a class */
    char *name;    /* of the class; the model's text */
    uint64_t objects, bytes;
};

/* Objects of a C++ class: by their tables of virtual functions, and nodes and arrays of containers by the
   function that allocated. */
struct model_class {
    char *name;       /* the model's text */
    uint64_t objects, bytes, lost_objects, lost_bytes; /* lost: with what is lost with others */
};

/* An object on the way from a root to an object of a site, or several of one site in a row. */
struct model_step {
    uint32_t site;    /* id; 0: not known */
    uint64_t objects, bytes; /* objects 0: the middle of a long way is left out here */
};

/* (kind, stack, tag) */
struct model_site {
    uint32_t id;    /* in the profile and in reports, from 1 on; 0: none yet */
    uint32_t group; /* while it is made: see aggregate.h */
    enum model_kind kind;
    uint32_t stack; /* index into model.stacks */
    char *tag;      /* NULL: none */
    char *type;     /* C++ class or NULL */
    char *thread;   /* a name, or "*N" for N threads */
    uint64_t objects, bytes;
    double oldest_s, newest_s;
    uint64_t allocations, bytes_allocated, temporary; /* cumulative for the stack */
    uint64_t stale_objects;
    uint64_t retained_bytes; /* of what its objects alone hold, themselves included; nothing twice */
    /* How its largest object is held, the oldest of these: from a root over steps, outermost first. */
    uint32_t root; /* index into model.roots + 1; 0: not known */
    uint32_t first_step, step_count; /* in model.steps */
    uint64_t suspect_objects, suspect_bytes; /* older than leak_age_s */
    double growth_rate, growth_confidence;   /* of the stack: bytes/s, 0 to 1; rate 0: it does not grow */
    uint64_t recent_objects, recent_bytes;   /* born since the last mark; all, if there was none */
    unsigned makers;                         /* bit 1 << PP_KIND_*: which functions allocated */
    uint32_t ages;                           /* the first in model.ages; 0: not known */
};

/* What a (stack, tag) held at one moment. Of a million sites, 120 MB less than model_site. */
struct model_peak_site {
    uint32_t stack; /* index into model.stacks */
    char *tag;      /* NULL: none */
    uint64_t objects, bytes;
};

/* An object pool: of a size class, or named by the program. */
struct model_pool {
    char *name;             /* malloc'ed */
    bool named;
    uint64_t object_bytes;
    uint64_t capacity;      /* objects there is memory for */
    uint64_t live, peak, window_peak;
    uint64_t served, missed;    /* requests: by the pool, by another allocator in its place */
    uint64_t grown, shrunk;     /* slabs */
    double efficiency;      /* percent of the requests served from a slab that was there already */
};

/* A stack whose objects alone keep slabs that are at most a quarter full. */
struct model_pin {
    uint32_t stack;         /* index into model.stacks */
    uint64_t slabs, objects, unused_bytes;
};

/* What a tag holds; names come from the program or from POOLPROF_BUDGET. */
struct model_tag {
    char *name;             /* malloc'ed */
    uint64_t objects, bytes, peak_bytes;
    uint64_t budget_bytes;  /* 0: none */
};

/* A frame of the program, one of those with the most allocations. */
#define MODEL_LAP_SITES 6
struct model_lap {
    uint64_t number;        /* from 1 on */
    double t_s;             /* when it ended */
    uint64_t allocations;   /* of all threads */
    size_t site_count;      /* of the thread that called poolprof_frame */
    struct {
        uint32_t stack;     /* index into model.stacks */
        uint64_t allocations;
    } sites[MODEL_LAP_SITES];
};

struct model_sample {
    double t_s;        /* since the process's start */
    int64_t rss_bytes; /* without the tracker's pages */
    int64_t heap_bytes, objects;
    double interval_s;
};

/* Longest name of what an alert is about, with its terminator. */
#define MODEL_SUBJECT_BYTES 64

struct model_alert {
    double t_s;
    const char *rule;  /* "mem_warn", "mem_critical", ...: static strings */
    const char *level; /* "warn", "critical" */
    const char *state; /* "raised", "repeated", "resolved" */
    double value, threshold;
    double next_s; /* until the next repeat */
    char subject[MODEL_SUBJECT_BYTES]; /* the tag, the pool, the site; "": the process */
    double lasted_s; /* since it was raised; not stored */
};

/* Nothing was told of the same rule and subject since: that alert's state is how it is. */
bool model_alert_is_last(const struct model_alert *alerts, size_t count, size_t at);

/* What a duty of the watcher has cost it: processor time. */
enum model_duty { MODEL_SAMPLE, MODEL_ALERTS, MODEL_SURVEY, MODEL_DUTY_COUNT };
extern const char *const model_duty_names[MODEL_DUTY_COUNT]; /* "sample", "alerts", "survey" */
struct model_cost {
    uint64_t count;
    double total_s, most_s;
};
void model_add_cost(struct model_cost *cost, double taken_s);

/* What was outstanding at a moment that an alert made worth keeping: the largest sites. */
#define MODEL_SNAPSHOT_SITES 50
struct model_snapshot {
    double t_s;
    int64_t rss_bytes;
    uint64_t objects, bytes;    /* of all sites */
    struct model_peak_site *sites; /* most bytes first */
    size_t site_count;
};

/* Objects and bytes of each kind, by a leak scan of the running process. */
struct model_found {
    double t_s;                 /* when; 0: nobody has looked */
    struct model_figures {
        uint64_t objects, bytes;
    } kinds[MODEL_KIND_COUNT];
};

/* A site that goes on growing. */
struct model_growth {
    uint32_t site;              /* its number in the segment */
    double rate, confidence;    /* bytes/s, 0 to 1 */
};

struct model_child {
    uint32_t pid;
    char *exe, *end, *profile;
    int status;
    int64_t lost_bytes;
};

struct model_blind_spot {
    const char *what; /* the contract's words, static strings */
    uint64_t count;
    char *detail;
};

struct model {
    struct {
        uint32_t pid, parent;
        char *exe;
        char *name;         /* what it was started as; "": not known, see model_name */
        char **argv;
        size_t argc;
        int64_t started_realtime_ns;
        double duration_s;
        char *end; /* "exit", "_exit", "quick_exit", "signal:N", "exec", "running", ... */
        int status;
        char *cwd, *host;
        uint64_t nonce;     /* of its segment; 0: not known */
    } process;
    struct {
        uint64_t allocations, frees, bytes_allocated, outstanding_objects, outstanding_bytes;
        uint64_t peak_bytes, peak_error_bytes, pool_allocations, backing_allocations;
        uint64_t temporary_allocations;
    } totals;
    char *scan; /* leaks.scan: "done", "off: why", "failed: why" */
    double since_s; /* only what was allocated since that moment is in the sites; < 0: all is */
    struct {
        uint64_t number; /* 0: none */
        double t_s;
    } mark;              /* the last one (poolprof ctl) */
    char *suppressions; /* the program's own, a line each; NULL: none. Not stored */
    struct model_figures kinds[MODEL_KIND_COUNT];
    struct model_found found;   /* the last scan while it ran; not stored */

    struct model_module *modules;
    size_t module_count; /* [0] is "no module" */
    struct model_stack *stacks;
    size_t stack_count; /* [0] is the unknown stack */
    struct model_tree *tree; /* NULL: all stacks have their frames */
    struct model_site *sites;
    size_t site_count;
    struct model_ages ages;
    struct {
        double t_s;
        uint64_t bytes;
    } peak;
    struct model_root *roots; /* those on somebody's way, and those that retain most */
    size_t root_count;
    struct model_count *counts;
    size_t count_count;
    struct model_class *classes; /* most bytes first */
    size_t class_count;
    struct model_step *steps;
    size_t step_count;
    struct model_peak_site *peak_sites; /* most bytes first */
    size_t peak_site_count;
    struct model_pool *pools;
    size_t pool_count;
    struct model_tag *tags;
    size_t tag_count;
    struct {
        uint64_t count, least, median, p99, most; /* allocations per frame */
        struct model_lap *worst; /* most allocations first */
        size_t worst_count;
    } laps;                 /* count 0: poolprof_frame was not called */
    struct {
        uint64_t slabs;             /* with live objects */
        uint64_t sparse, shared;    /* at most a quarter full; those of them with objects of several sites */
        uint64_t unused_bytes;      /* of the sparse ones */
        struct model_pin *pins;     /* most unused bytes first */
        size_t pin_count;
    } slabs;
    struct model_sample *samples;
    size_t sample_count;
    struct model_alert *alerts;
    size_t alert_count;
    struct model_snapshot *snapshots;
    size_t snapshot_count; /* in order of time */
    struct model_child *children;
    size_t child_count;
    struct model_blind_spot *blind_spots;
    size_t blind_spot_count;
    uint64_t tracker_bytes;
    struct model_cost costs[MODEL_DUTY_COUNT];
    struct {
        uint64_t invalid_frees, mismatched_frees;
        uint64_t misuses;      /* of named pools and tags */
    } errors;                  /* what the program did wrong */
    bool tracked;              /* false: POOLPROF_TRACK=off, there are no sites */
    uint64_t sampling_bytes;   /* POOLPROF_TRACK=sample:BYTES: what sites and tags say are estimates; 0: exact */
    double leak_age_s;         /* POOLPROF_LEAK_AGE in force: older is suspect */
    char *profile_path;        /* where it was or will be stored; NULL: nowhere */
    struct model_texts *texts; /* see model_text */
};

struct model *model_create(void);
void model_destroy(struct model *model);
void model_add_sample(struct model *model, struct model_sample sample);
void model_add_pool(struct model *model, struct model_pool pool); /* takes over the name */
void model_add_tag(struct model *model, struct model_tag tag); /* takes over the name */
void model_add_pin(struct model *model, struct model_pin pin);
/* Its number. */
uint32_t model_add_module(struct model *model, struct model_module module);
void model_add_root(struct model *model, struct model_root root);
void model_add_count(struct model *model, struct model_count count);
void model_add_class(struct model *model, struct model_class class);
void model_add_step(struct model *model, struct model_step step);
void model_add_lap(struct model *model, struct model_lap lap);
void model_add_alert(struct model *model, struct model_alert alert);
void model_add_snapshot(struct model *model, struct model_snapshot snapshot); /* takes over the sites */
/* Takes over the child's texts. */
void model_add_child(struct model *model, struct model_child child);
/* Adds to the count of a blind spot that is there already; `detail` is copied. */
void model_add_blind_spot(struct model *model, const char *what, uint64_t count,
                          const char *detail);

void model_drop_blind_spot(struct model *model, const char *what);

/* Puts another tree in the place of the model's; it is taken over. Stacks' leaves are the caller's to set. */
void model_set_tree(struct model *model, struct model_tree *tree);

/* The stack of that index, with its frames; an index that is none gives the unknown stack. Frames may be
   made from the tree and then are valid for MODEL_UNFOLDED - 1 further calls: whoever looks at all stacks
   looks at the tree instead (profile_stacks.h). */
const struct model_stack *model_stack(const struct model *model, uint32_t stack);

/* The frame that a stack is best named by: the innermost that is not the C++ library's (containers and smart
   pointers allocate many frames deep); 0 if all are. */
size_t model_stack_first(const struct model_stack *stack);

/* The model's one copy of a text; equal texts give equal pointers. NULL gives NULL. */
char *model_text(struct model *model, const char *text);
/* What people call the program: the name it was started as, or its file's. */
const char *model_name(const struct model *model);
/* Replaces a malloc'ed text field: model_set(&model->process.end, "signal:9"). */
void model_set(char **field, const char *text);

/* Orders sites: by kind, lost first; among those by bytes, objects, age of the oldest or growth, most first;
   ties by the other figures and the stack, so that the same segment always gives the same report. */
enum model_order { MODEL_BY_BYTES, MODEL_BY_OBJECTS, MODEL_BY_AGE, MODEL_BY_GROWTH };
void model_sort(const struct model *model, struct model_site *sites, size_t count,
                enum model_order order);
/* The same, by bytes. */
void model_sort_peak(struct model_peak_site *sites, size_t count);
/* Once all sites are there: sorts them by bytes and gives them their ids. */
void model_settle_sites(struct model *model);
/* The site of that id; NULL: none. */
const struct model_site *model_site(const struct model *model, uint32_t id);
/* The model's sites in that order; the caller frees the list. */
const struct model_site **model_sorted(const struct model *model, enum model_order order);

/* Of a model made from the segment that their numbers are of. */
void model_set_growth(struct model *model, const struct model_growth *growth, size_t count);
/* Takes out of the sites, and of the sums over them, what was there before the last mark. */
void model_keep_marked(struct model *model);
/* Adds the figures of a site that becomes one with another; not its ages. */
void model_add_figures(struct model_site *to, const struct model_site *from);

/* Adds to the bucket of a site whose first is *first. */
void model_add_age(struct model_ages *ages, uint32_t *first, unsigned bucket, uint64_t objects, uint64_t bytes);
/* Adds a site's ages, from the same list or another model's. */
void model_add_ages(struct model_ages *ages, uint32_t *first, const struct model_ages *from, uint32_t from_first);

/* Memory that must be there, as in any program for people: exits with status 3 where it is not. */
void *model_alloc(size_t count, size_t bytes);                           /* zeroed */
void *model_buffer(size_t count, size_t bytes);                          /* not zeroed */
void *model_grow(void *array, size_t count, size_t *room, size_t bytes); /* room for one more */

#endif
