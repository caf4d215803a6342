/*
 * The live segment: all that the profiler knows about one process, in one shared file mapping.
 *
 * The program writes it with plain stores; everyone else (the watcher, `poolprof report`) only reads
 * it, except for the words of `struct pp_tree`, those of the hand-over, the live options and the calls,
 * by which the two sides talk.
 * There is no pointer in it, only indices into areas, so it can be read from another process, from a
 * file and on another machine of the same byte order. Layout changes change PP_SEGMENT_VERSION.
 *
 * A reader must cope with a segment that is being written, was torn by a crash, was truncated or is
 * hostile: check every index against the area's count, trust no count beyond the file's size, treat
 * an all-zero element as "not published yet".
 *
 * File: header in the first PP_SEGMENT_HEADER_BYTES, then the areas at the offsets the header names.
 * A live file is sparse (each area has room to grow) and has the tree's rules between header and areas;
 * a saved copy is the same format, compacted, with its own offsets and without them.
 */
#ifndef POOLPROF_SEGMENT_H
#define POOLPROF_SEGMENT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "poolprof/options.h"

#define PP_SEGMENT_MAGIC "poolprof" /* 8 bytes, no terminator */
#define PP_SEGMENT_HEADER_BYTES 16384u

/* What a tree's processes share of its first one's file: header, and unwind rules (src/tree_rules.h). */
#define PP_TREE_RULES 32768u
#define PP_SEGMENT_TREE_BYTES (PP_SEGMENT_HEADER_BYTES + PP_TREE_RULES * 16u)

#define PP_TICK_NS 10000000u /* one tick is 10 ms; 32 bits of ticks are 497 days */

/* What an area holds. Elements are fixed-size (`stride`); index 0 is reserved in each but TEXT. */
enum pp_area_id {
    PP_AREA_TEXT,    /* bytes of NUL-terminated strings; a text is named by its offset; 0 is "" */
    PP_AREA_THREADS, /* struct pp_segment_thread */
    PP_AREA_MODULES, /* struct pp_segment_module */
    PP_AREA_NODES,   /* struct pp_segment_node: the stack tree */
    PP_AREA_SITES,   /* struct pp_segment_site: nodes at which an allocation was made */
    PP_AREA_BLOCKS,  /* struct pp_segment_block: one outstanding allocation each, not pooled */
    PP_AREA_RECORDS, /* struct pp_segment_record: one slot of a slab each */
    PP_AREA_SLABS,   /* struct pp_segment_slab: which slots the records belong to */
    PP_AREA_POOLS,   /* struct pp_segment_pool */
    PP_AREA_TALLIES, /* struct pp_segment_tally: a thread's counts per class */
    PP_AREA_TAGS,    /* struct pp_segment_tag: by the number in records */
    PP_AREA_LAPS,    /* struct pp_segment_laps: one, from the first poolprof_frame() on */
    PP_AREA_RANGES,  /* struct pp_segment_range: stretches of the program's memory */
    PP_AREA_COUNT
};

struct pp_area {
    uint64_t offset;        /* from the start of the file, bytes; read-only after start */
    uint64_t stride;        /* bytes per element; read-only after start */
    uint64_t limit;         /* most elements there is room for; read-only after start */
    _Atomic uint64_t count; /* elements [0, count) may be in use */
    _Atomic uint64_t ready; /* elements [0, ready) have memory behind them; ready >= count but for a
                               moment in the program itself */
};

/* Per-thread counters, each written by its thread only; a process total is the sum over threads. */
enum pp_counter {
#define PP_COUNTER(name, help) PP_COUNTER_##name,
#include "poolprof/counters.def"
#undef PP_COUNTER
    PP_COUNTER_COUNT
};

/* A thread's share of a site's figures, which counts on top of the site's own. Of sites with equal low
   bits one is here at a time; when another takes the place it moves to the site. */
#define PP_SHARES 128u
struct pp_segment_share {
    _Atomic uint32_t site;  /* SITES; 0: none */
    uint32_t reserved;
    _Atomic uint64_t allocations;
    _Atomic uint64_t bytes;
    _Atomic uint64_t temporary;
};

/* A thread that has allocated or freed. Entries of ended threads are used again once there are many,
   then `reused` is set and the name no longer tells which thread it was. 4,352 bytes. */
struct pp_segment_thread {
    _Atomic uint32_t tid;   /* kernel's thread id; 0: ended */
    uint32_t reused;        /* how many threads had this entry before */
    uint32_t birth_tick;
    uint32_t death_tick;
    char name[16];          /* comm at start and at the end; may be stale while it lives */
    _Atomic uint64_t counters[PP_COUNTER_COUNT];
    _Atomic uint64_t moving;    /* > 0: some block of its is without a record for a moment */
    uint64_t reserved[27 - PP_COUNTER_COUNT];
    struct pp_segment_share shares[PP_SHARES]; /* by the site's low bits */
};
_Static_assert(sizeof(struct pp_segment_thread) == 256 + 32 * PP_SHARES, "layout");

#define PP_BUILD_ID_MAX 32u

/* A mapped object with code. Never changed after publication but for `unloaded_tick`. 128 bytes.
   Two modules may claim the same addresses at different times: a node names the module by index. */
struct pp_segment_module {
    uint64_t start, end;    /* mapped address range, [start, end) */
    uint64_t bias;          /* address in memory minus address in the file's symbol table */
    uint32_t path;          /* TEXT; "" where unknown, "[vdso]" for the kernel's */
    uint32_t flags;         /* PP_MODULE_* */
    uint32_t loaded_tick;   /* when first seen */
    uint32_t unloaded_tick; /* 0: still there */
    uint32_t build_id_bytes;
    uint8_t build_id[PP_BUILD_ID_MAX];
    uint32_t reserved[13];
};
_Static_assert(sizeof(struct pp_segment_module) == 128, "layout");
#define PP_MODULE_MAIN 1u /* the program itself */
#define PP_MODULE_SELF 2u /* libpoolprof.so */

/* A node of the stack tree: a return address below its parent. Path to the root = a stack, innermost
   first. PP_NODE_ROOT ends a complete stack, PP_NODE_TRUNCATED one whose outer frames are missing.
   `key` = module index << 48 | address (48 bits); the address is a return address, so a symboliser
   looks up address - 1 (but not for frames a signal interrupted, marked by PP_NODE_EXACT below).
   All fields but `site` are written once; `site` is published with release. 16 bytes. */
struct pp_segment_node {
    _Atomic uint64_t key;
    uint32_t parent;        /* NODES; bit 31: PP_NODE_EXACT */
    _Atomic uint32_t site;  /* SITES; 0: no allocation was made with exactly this stack */
};
_Static_assert(sizeof(struct pp_segment_node) == 16, "layout");
#define PP_NODE_ROOT 0u
#define PP_NODE_TRUNCATED 1u
#define PP_NODE_FIRST 2u
#define PP_NODE_EXACT 0x80000000u
#define PP_NODE_PC(key) ((key) & 0x0000ffffffffffffu)
#define PP_NODE_MODULE(key) ((uint32_t)((key) >> 48))

/* A stack that has allocated, with its cumulative figures (they only grow; the threads' shares come on
   top). Site 0: the stack is not
   known (bookkeeping full, or the allocation came from a signal handler that interrupted us). */
struct pp_segment_site {
    uint32_t node;          /* NODES */
    uint32_t reserved;
    _Atomic uint64_t allocations;
    _Atomic uint64_t bytes;
    _Atomic uint64_t temporary; /* freed before the thread's next allocation */
};
_Static_assert(sizeof(struct pp_segment_site) == 32, "layout");

/* One block. word0 is stored last when it is allocated and says whether the rest holds. A freed
   record keeps its words with state PP_STATE_FREED until it is used again. 32 bytes.
     word0: site 28 | spare 11 | kind 3 | tag 10 | state 2 | flags 10   (low to high)
            When sampling, the spare bits' upper 6 are the size class by whose slots the block was sampled,
            + 1; 0: by its own bytes. Kind 0: not sampled, the writer wants to know when it is freed.
     word1: birth tick 32 | thread (THREADS) 20 | spare 12 */
struct pp_segment_block {
    _Atomic uint64_t word0;
    _Atomic uint64_t word1;
    _Atomic uint64_t address;
    _Atomic uint64_t bytes; /* low 48 bits: as requested, not rounded; the rest is the writer's */
};
#define PP_BLOCK_BYTES(word) ((word) & UINT64_C(0x0000ffffffffffff))
_Static_assert(sizeof(struct pp_segment_block) == 32, "layout");

/* A slot of a slab: 16 bytes. word1 is stored first, word0 says whether it holds, as above. The slot's
   address follows from its slab (SLABS), the bytes as requested are in both words.
     word0: site 28 | bytes, low 11 | kind 3 | tag 10 | state 2 | flags 10
     word1: birth tick 32 | thread 20 | spare 1 | bytes, high 11 (named pools) */
struct pp_segment_record {
    _Atomic uint64_t word0;
    _Atomic uint64_t word1;
};
_Static_assert(sizeof(struct pp_segment_record) == 16, "layout");

/* Never changed by the program after publication (by `slots`): a slab keeps its class, place and records. */
struct pp_segment_slab {
    uint64_t address;       /* of slot 0 */
    uint32_t records;       /* RECORDS: index of slot 0's record */
    uint32_t object_bytes;
    uint32_t pool;          /* POOLS */
    _Atomic uint32_t slots;
    _Atomic uint32_t touched; /* watcher: the tick of the last look at which it had been touched; 0: none yet */
    uint32_t reserved;
};
_Static_assert(sizeof(struct pp_segment_slab) == 32, "layout");

/* The largest value of the last few stretches of a time window; see src/window.h. */
#define PP_WINDOW_PARTS 8u
struct pp_window {
    _Atomic uint32_t part;                  /* number of the newest part since time 0 */
    _Atomic uint32_t peak[PP_WINDOW_PARTS]; /* by part number modulo PP_WINDOW_PARTS */
};

#define PP_POOL_CLASSES 40u /* size classes; pool i of POOLS is class i - 1 */

/* A pool: of a size class, or (from row PP_POOL_CLASSES + 1 on) named by the program. A class's figures
   change in slow paths: live_published and peak lag behind by at most a slab per thread. What is exact is
   in TALLIES, and for named pools here. 128 bytes. */
struct pp_segment_pool {
    _Atomic uint32_t object_bytes;  /* 0: not in use */
    uint32_t name;          /* TEXT; of a named pool */
    _Atomic uint64_t capacity;  /* slots of all slabs that have memory */
    _Atomic int64_t live_published;
    _Atomic uint64_t peak;  /* most live objects */
    _Atomic uint64_t missed;    /* requests of this class that another allocator had to serve */
    _Atomic uint64_t grown, shrunk; /* slabs that got memory, slabs that gave it back */
    struct pp_window window;    /* of live objects, parts of POOL_WINDOW / PP_WINDOW_PARTS */
    uint32_t reserved;
    _Atomic uint64_t served, freed; /* of a named pool */
    uint32_t reserved_too[4];
};
_Static_assert(sizeof(struct pp_segment_pool) == 128, "layout");

/* Written by one thread only. Without exact tracking these are the only counts of pooled blocks. When
   sampling, `served` is shifted so that it reaches 2^63 with the class's next sample: that is a flag of the
   processor after the addition that counts, so the fast path has nothing to compare. */
struct pp_segment_tally {
    struct pp_segment_tally_class {
        _Atomic uint64_t served;    /* pooled allocations by the thread; read it by pp_tally_served */
        _Atomic uint64_t freed;     /* pooled blocks that the thread freed */
    } classes[PP_POOL_CLASSES];
    struct pp_segment_tally_shift {
        _Atomic uint64_t due;       /* what to add to `served` while it is 2^63 or more */
        _Atomic uint64_t idle;      /* ... while it is less; both only grow */
    } shifts[PP_POOL_CLASSES];
};
/* Pooled allocations by the thread. The writer changes `idle`, then `served`, then `due`, so every moment
   can be read, also the last one of a process that was killed. */
static inline uint64_t pp_tally_served(const struct pp_segment_tally *tally, unsigned of) {
    const struct pp_segment_tally_shift *shift = &tally->shifts[of];
    uint64_t served, due, idle;
    do {
        due = atomic_load_explicit(&shift->due, memory_order_acquire);
        idle = atomic_load_explicit(&shift->idle, memory_order_acquire);
        served = atomic_load_explicit(&tally->classes[of].served, memory_order_acquire);
    } while (atomic_load_explicit(&shift->due, memory_order_acquire) != due ||
             atomic_load_explicit(&shift->idle, memory_order_relaxed) != idle);
    return served + (served >> 63 != 0 ? due : idle);
}

/* A tag: what is live under it, and was at most. Exact. 32 bytes. */
struct pp_segment_tag {
    _Atomic uint32_t name;  /* TEXT; 0: not in use */
    uint32_t reserved;
    _Atomic int64_t live_bytes, peak_bytes;
    uint64_t reserved_too;
};
_Static_assert(sizeof(struct pp_segment_tag) == 32, "layout");

/* From one poolprof_frame() to the next is a lap. Laps by their number of allocations: below
   PP_LAP_EXACT a bucket each, then eight per doubling. */
#define PP_LAP_EXACT 16u
#define PP_LAP_BUCKETS (PP_LAP_EXACT + 8u * 44u)
static inline uint32_t pp_lap_bucket(uint64_t allocations) {
    if (allocations < PP_LAP_EXACT) return (uint32_t)allocations;
    uint32_t power = 63u - (uint32_t)__builtin_clzll(allocations); /* 4 or more */
    uint32_t bucket = PP_LAP_EXACT + (power - 4) * 8 + (uint32_t)(allocations >> (power - 3) & 7);
    return bucket < PP_LAP_BUCKETS ? bucket : PP_LAP_BUCKETS - 1;
}
/* The smallest number of a bucket. */
static inline uint64_t pp_lap_bucket_least(uint32_t bucket) {
    if (bucket < PP_LAP_EXACT) return bucket;
    return (uint64_t)(8 + (bucket - PP_LAP_EXACT) % 8) << ((bucket - PP_LAP_EXACT) / 8 + 1);
}

#define PP_LAP_SITES 6u
struct pp_segment_lap {
    uint64_t allocations;   /* 0: not in use */
    uint64_t number;        /* laps before this one + 1 */
    uint32_t tick;          /* when it ended */
    uint32_t site_count;
    struct pp_segment_lap_site {
        uint32_t site;      /* SITES */
        uint32_t allocations;
    } sites[PP_LAP_SITES];  /* most first */
};

/* Written by one thread at a time. */
#define PP_LAPS_WORST 8u
struct pp_segment_laps {
    _Atomic uint64_t count, least, most;
    uint64_t reserved;
    _Atomic uint64_t buckets[PP_LAP_BUCKETS];
    struct pp_segment_lap worst[PP_LAPS_WORST]; /* in no order */
};
_Static_assert(sizeof(struct pp_segment_laps) == 32 + 8 * PP_LAP_BUCKETS + 72 * PP_LAPS_WORST, "layout");

/* A stretch of the program's address space that means something to the leak scan. `kind` is stored
   last, and zero again when it means nothing any more. */
struct pp_segment_range {
    _Atomic uint64_t start, end;    /* [start, end) */
    _Atomic uint32_t kind;          /* enum pp_range_kind */
    _Atomic uint32_t name;          /* TEXT; of a named one */
    uint32_t reserved[2];
};
_Static_assert(sizeof(struct pp_segment_range) == 32, "layout");
enum pp_range_kind {
    PP_RANGE_NONE,
    PP_RANGE_OWN,   /* the profiler's, its image and the heap included: no root */
    PP_RANGE_ROOT,  /* registered by the program as a root */
    PP_RANGE_RETIRED, /* was a root, or named; may be used again */
    PP_RANGE_NAMED   /* the program wants to know what is reachable from it; no root by that */
};

enum pp_state { PP_STATE_EMPTY, PP_STATE_LIVE, PP_STATE_FREED };
enum pp_kind { PP_KIND_MALLOC = 1, PP_KIND_NEW, PP_KIND_NEW_ARRAY, PP_KIND_REPORTED /* not ours: src/reported.h */ };

#define PP_WORD0(site, kind, tag, state, flags)                                                    \
    ((uint64_t)(site) | (uint64_t)(kind) << 39 | (uint64_t)(tag) << 42 | (uint64_t)(state) << 52 | \
     (uint64_t)(flags) << 54)
/* Flags: the program has said that the block is no leak; the writer wants to know when it is freed. */
#define PP_WORD0_IGNORED (UINT64_C(1) << 54)
#define PP_WORD0_WATCHED (UINT64_C(1) << 55)
#define PP_WORD0_SAMPLED_SHIFT 33u /* of a sampled block's record: class + 1, see struct pp_segment_block */
#define PP_WORD0_SAMPLED_BY(w) ((unsigned)((w) >> PP_WORD0_SAMPLED_SHIFT & 0x3fu))
#define PP_WORD0_BYTES(w) ((uint32_t)((w) >> 28 & 0x7ffu)) /* of a size class's slot */
#define PP_RECORD_BYTES(w0, w1) (PP_WORD0_BYTES(w0) | (uint32_t)((w1) >> 53) << 11) /* of any slot */
#define PP_RECORD_BYTES_MAX ((1u << 22) - 1)
#define PP_WORD0_SITE(w) ((uint32_t)((w) & 0x0fffffffu))
#define PP_WORD0_KIND(w) ((unsigned)((w) >> 39 & 7u))
#define PP_WORD0_KIND_TAG(w) ((unsigned)((w) >> 39 & 0x1fffu)) /* the kind alone, where the tag is 0 */
#define PP_WORD0_HOW(w) ((unsigned)((w) >> 39 & 0x17fffu)) /* kind, tag, state and PP_WORD0_WATCHED */
#define PP_WORD0_TAG(w) ((unsigned)((w) >> 42 & 0x3ffu))
#define PP_WORD0_STATE(w) ((unsigned)((w) >> 52 & 3u))
#define PP_WORD1(tick, thread) ((uint64_t)(uint32_t)(tick) | (uint64_t)(thread) << 32)
#define PP_WORD1_TICK(w) ((uint32_t)(w))
#define PP_WORD1_THREAD(w) ((uint32_t)((w) >> 32 & 0xfffffu))

/* How the process ended, as far as the process itself could tell. A reader that knows better (wait
   status, pidfd) overrides it; RUNNING in a dead process means it was killed. */
enum pp_end { PP_END_RUNNING, PP_END_EXIT, PP_END__EXIT, PP_END_QUICK_EXIT, PP_END_ABORT, PP_END_EXEC };

/* Words of a tree of processes, in the header of its first process; the others map that page. */
struct pp_tree {
    _Atomic uint32_t doorbell;    /* program: bumped and woken (futex) when it wants the watcher */
    _Atomic uint32_t heartbeat;   /* watcher: moves at least every second while it is at work */
    _Atomic int32_t watcher_pid;  /* watcher: its pid once it serves the tree; -1: gave up */
    _Atomic uint32_t started;     /* program: 1 once it has started a watcher, which may not serve yet */
    _Atomic uint32_t given_up;    /* program: the heartbeat + 1 for whose sake a child waited in vain */
    _Atomic uint32_t rules;       /* program: whether the rules have memory behind them (tree_rules.c) */
    _Atomic uint32_t members;     /* program: counts the processes that have joined */
    _Atomic uint32_t quiet;       /* both: 1 once a process of it is under a filter of its own, which may kill for the
                                     system call that wakes the watcher */
    _Atomic int32_t stub;         /* program: the hidden child through which it has started the watcher */
    uint32_t reserved[7];
};

struct pp_tree_rule {
    _Atomic uint64_t key;   /* of module and offset; 0: free */
    _Atomic uint64_t rule;  /* stored last; 0: not there yet */
};
_Static_assert(PP_SEGMENT_HEADER_BYTES + PP_TREE_RULES * sizeof(struct pp_tree_rule) == PP_SEGMENT_TREE_BYTES,
               "layout");

/* A thread that waits for the watcher inside one of our functions: where the host's part of its stack
   begins, and what the host had in the registers that calls preserve. */
#define PP_WAITER_REGISTERS 6u
struct pp_waiter {
    _Atomic uint32_t tid;       /* stored last; 0: nobody */
    uint32_t reserved;
    _Atomic uint64_t stack, thread_pointer;
    _Atomic uint64_t registers[PP_WAITER_REGISTERS];
};

/* What the outside lays on a thread's stack, below its red zone, to have a copy of the process made
   (src/stub.S); registers as they are to be again. */
#define PP_SNAPSHOT_REGISTERS 15u
#define PP_SNAPSHOT_STUB_BYTES 256u
struct pp_snapshot_frame {
    uint64_t clone_flags;
    uint64_t word;          /* address of pp_segment_header.snapshot in the program */
    uint64_t sequence;      /* in the upper half */
    uint64_t mask;          /* the thread's signals */
    uint32_t former;        /* a copy to be reaped; 0: none */
    uint32_t tracer;        /* the pid that may look at the copy */
    uint64_t registers[PP_SNAPSHOT_REGISTERS]; /* r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi */
    uint64_t flags, pc;     /* ends where the red zone begins */
};

enum pp_handover {
    PP_HANDOVER_NONE,      /* the program runs */
    PP_HANDOVER_REQUESTED, /* program: it has ended; the first of a tree waits for the report (futex) */
    PP_HANDOVER_TAKEN,     /* watcher: at work, watch the heartbeat */
    PP_HANDOVER_DONE       /* watcher: the report is out; futex woken */
};

enum pp_call {
    PP_CALL_PAUSE = 1,      /* watcher: while set, no stack is taken: site 0 */
    PP_CALL_CLEANUP = 2,    /* watcher, for a second: each thread that allocates gives back what it has unused */
    PP_CALL_OPTIONS = 4,    /* watcher: an option has changed of which the program has a copy; cleared by it */
    PP_CALL_CHECK = 8       /* watcher: the first thread that allocates checks its pools; cleared by it */
};

/* Reasons (bits of `degraded`) why the segment holds less than it should. */
enum pp_degraded {
    PP_DEGRADED_PRIVATE = 1,   /* no shared place was writable: private memory, no watcher */
    PP_DEGRADED_MEMORY = 2,    /* memory behind an area was refused: records are dropped */
    PP_DEGRADED_LIMIT = 4,     /* POOLPROF_TRACKER_MAX reached */
    PP_DEGRADED_DISARMED = 8   /* own bookkeeping found broken: tracking stopped */
};

/* An alert, from the watcher to the program. */
#define PP_NOTICES 16u
enum pp_alert_rule {
#define ALERT(name, level, unit, when, subject) PP_ALERT_##name,
#include "poolprof/alerts.def"
#undef ALERT
    PP_ALERT_COUNT
};
enum pp_alert_state { PP_ALERT_RAISED, PP_ALERT_REPEATED, PP_ALERT_RESOLVED };
struct pp_notice {
    _Atomic uint32_t number;    /* from 1 on; stored last, 0 while the rest changes */
    uint32_t rule, state;       /* enum pp_alert_rule, enum pp_alert_state */
    uint32_t reserved;
    double value, threshold;
    char subject[64];
};

/* What the part inside the program has to say where POOLPROF_LOG is not stderr: the watcher prints it. */
#define PP_LINES 24u
struct pp_lines {
    _Atomic uint32_t count;     /* program: how many there have been */
    _Atomic uint32_t told;      /* watcher: of those, how many it has printed */
    struct pp_line {
        _Atomic uint32_t number; /* from 1 on; stored last, 0 while the text changes */
        char text[252];         /* without newline */
    } lines[PP_LINES];          /* number n is at n modulo PP_LINES */
};

struct pp_segment_header {
    char magic[8];
    uint32_t version;
    uint32_t header_bytes;      /* PP_SEGMENT_HEADER_BYTES */

    /* The process: read-only after start. */
    uint32_t pid, parent_pid, uid;
    uint32_t argc;              /* strings in argv */
    uint64_t nonce;             /* tells this process's segment from one of the same pid */
    uint64_t tree_nonce;        /* the tree's first process's; equal to nonce in that one */
    uint32_t tree_pid;          /* its pid */
    uint32_t flags;             /* PP_SEGMENT_* */
    int64_t started_realtime_ns;  /* CLOCK_REALTIME at start */
    int64_t started_monotonic_ns; /* CLOCK_MONOTONIC_COARSE at start: tick 0 */
    uint64_t start_ticks;       /* field 22 of /proc/PID/stat: tells this process from a later one of
                                   its pid; 0: not known */
    uint32_t name;              /* TEXT: what it was started as (redis-server, not what a link leads to) */
    uint32_t pid_namespace;     /* whose number `pid` is: inode of /proc/self/ns/pid; 0: not known */
    uint32_t exe, argv, cwd, host; /* TEXT; argv: argc strings one after the other */
    uint32_t suppressions, suppression_lines; /* TEXT: so many lines of the program's own, likewise */

    struct pp_area areas[16];   /* by enum pp_area_id; unused ones zero */
    struct pp_options options;  /* in force */

    /* Written by any thread of the program, rarely. */
    _Alignas(64) _Atomic uint32_t end;  /* enum pp_end */
    _Atomic int32_t status;             /* exit status, or the signal's number after abort */
    _Atomic uint32_t end_tick;
    _Atomic uint32_t degraded;          /* enum pp_degraded bits */
    _Atomic uint64_t tracker_bytes;     /* memory of the bookkeeping, shared and private */
    _Atomic uint64_t generation;        /* changes of the module list seen */
    _Atomic uint64_t forks;             /* forked children that go on without exec, as far as seen */
    _Atomic uint64_t unseen_calls;      /* calls of which nothing is known: no memory for the thread's own state */

    /* Net bytes, published by each thread whenever its own sum moved by PP_PUBLISH_BYTES. */
    _Alignas(64) _Atomic int64_t live_bytes;
    _Atomic int64_t peak_bytes;
    _Atomic uint32_t peak_tick;
    _Atomic uint32_t threads_max;       /* most threads at once: bounds the peak's error */

    /* Hand-over of this process. */
    _Alignas(64) _Atomic uint32_t handover; /* enum pp_handover */
    _Atomic uint32_t looked;            /* watcher: 1 once it has looked at the memory of the process that
                                           asked (futex woken), which may end now */
    _Atomic uint32_t check_wanted;      /* program: leak scans asked for while it runs; the watcher is rung */
    _Atomic uint32_t check_done;        /* watcher: of those, how many have been made (futex woken) */
    _Atomic int64_t check_lost;         /* watcher: objects the last one found lost; -1: it failed */
    _Atomic uint32_t status_now;        /* watcher, before DONE: exit status to end with, + 1; 0: its own */
    _Atomic uint32_t sandboxed;         /* watcher: the process has put itself under a seccomp filter
                                           since it started: no system call but those malloc makes */

    struct pp_waiter waiter;            /* who has asked */

    /* The time for records, so that an allocation need not ask the kernel. */
    _Alignas(64) _Atomic uint32_t clock; /* watcher, each 10 ms while there is somebody to want it: ticks since
                                            start; 0: not kept (the program too, once it finds it behind) */
    _Atomic uint32_t clock_wanted;      /* program: 1 when it has asked the kernel in vain of this */
    _Atomic uint32_t calls;             /* what is asked of the program, PP_CALL_*; while it is not 0 the clock is
                                           not kept, so that allocations take the slow path and see it */
    _Atomic uint32_t cleanups;          /* watcher: how often unused memory was asked for back */
    _Atomic uint32_t cleanups_done;     /* program: the last of those that it has seen to */
    _Atomic uint32_t checks_done, checks_failed; /* program: how often PP_CALL_CHECK was answered, and not well */

    /* Commands of the operator, written by the watcher; times are ticks. */
    _Atomic uint32_t pauses, paused_tick, paused_ticks; /* how many, start of the last, length of the others */

    /* Copies of the program for leak scans, see src/snapshot.h. */
    uint64_t snapshot_stub, snapshot_word;  /* addresses in the program: the code that makes one, and the next */
    _Atomic uint64_t snapshot;          /* the last: sequence 32 | pid, or negative errno, 32 */
    _Atomic uint64_t snapshot_reaped;   /* program: the value of `snapshot` whose process is gone */
    _Atomic uint32_t snapshot_wanted;   /* outside: the sequence of a copy that the program is to make by itself in
                                           its next slow path; 0: none (the program, once it is at it) */
    _Atomic uint32_t snapshot_tracer;   /* outside: the pid that may look at it */
    struct pp_waiter snapshot_maker;    /* the thread that made it */

    _Atomic uint32_t mark;              /* watcher: the tick that a new leak generation began with; 0: none */
    _Atomic uint32_t marks;             /* watcher: how many there have been */

    /* Watcher, with POOLPROF_STALE: the last look at what was touched, and what looks have cost. */
    _Atomic uint32_t stale_tick, stale_looks;
    _Atomic uint64_t stale_us;
    _Atomic uint32_t stale_refused;     /* 1: the kernel does not offer it */
    /* The last alerts, for poolprof_poll(), and what the last sample said. */
    _Alignas(64) _Atomic uint32_t notice_count; /* watcher: how many there have been */
    _Atomic uint32_t sampled_tick;      /* watcher; 0: there was no sample yet */
    _Atomic int64_t resident_bytes;     /* watcher, with the sample */
    struct pp_notice notices[PP_NOTICES]; /* number n is at n modulo PP_NOTICES */

    struct pp_lines lines;
    _Alignas(64) struct pp_tree tree;   /* in use in the tree's first process only */
};
_Static_assert(sizeof(struct pp_segment_header) <= PP_SEGMENT_HEADER_BYTES, "layout");

/* Number of the format, and below it what tells one build's header from another's (options come and
   go): a reader takes only its own. */
#define PP_SEGMENT_FORMAT 10u
#define PP_SEGMENT_VERSION                                                                         \
    (PP_SEGMENT_FORMAT << 20 | (uint32_t)PP_COUNTER_COUNT << 14 |                                  \
     (uint32_t)(offsetof(struct pp_segment_header, tree) / 64))

#define PP_SEGMENT_FORKED 1u /* a fork without exec: blocks from before it have no records here */
#define PP_SUPPRESSION_LINES 1024u /* of the program's own; one more says that there are more */
#define PP_SEGMENT_OWN_MALLOC 2u /* the program's malloc is not ours */

#define PP_PUBLISH_BYTES 65536

#endif
