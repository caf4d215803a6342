/* See brief.h. */
#include "brief.h"

#include "fmt.h"
#include "log.h"
#include "os.h"
#include "poisson.h"
#include "process.h"
#include "sampled.h"
#include "segment.h"

#define SITES_SHOWN 20
#define FRAMES_SHOWN 8
#define DESCRIPTOR_FIRST 400

static int output = 2;
static bool sandboxed_at_start;

struct sum {
    double objects, bytes;  /* estimates when sampling; else whole, and exact as far as anyone counts */
};

static void line(const char *format, ...) PP_PRINTF(1, 2);
static void line(const char *format, ...) {
    char text[1024];
    va_list list;
    va_start(list, format);
    size_t used = pp_fmt_list(text, sizeof text - 1, format, list);
    va_end(list);
    text[used++] = '\n';
    if (pp_os_write(output, text, used) == -9 /* EBADF */) pp_os_write(2, text, used);
}

static const char *plural(uint64_t count) { return count == 1 ? "" : "s"; }

void pp_brief_prepare(void) {
    int fd = pp_os_duplicate(2, DESCRIPTOR_FIRST);
    sandboxed_at_start = pp_os_sandboxed();
    if (fd >= 0) output = fd;
}

static uint64_t total(enum pp_counter counter) {
    uint64_t sum = 0, count = pp_segment_count(PP_AREA_THREADS);
    for (uint64_t i = 1; i < count; i++) sum += PP_LOAD(&PP_SEGMENT_THREAD(i)->counters[counter]);
    return sum;
}

/* Objects and, without exact tracking, bytes that are only in the tallies: blocks of pools. */
struct pooled {
    uint64_t objects, bytes;
};
static struct pooled pooled(void) {
    struct pooled sum = {0};
    uint64_t count = pp_segment_count(PP_AREA_TALLIES);
    for (uint64_t i = 1; i < count; i++) {
        for (unsigned class = 0; class < PP_POOL_CLASSES; class++) {
            const struct pp_segment_tally *tally = PP_SEGMENT_TALLY(i);
            uint64_t live = pp_tally_served(tally, class) - PP_LOAD(&tally->classes[class].freed);
            sum.objects += live;
            if (!pp_segment.exact) sum.bytes += live * PP_SEGMENT_POOL(class + 1)->object_bytes;
        }
    }
    return sum;
}

static void add_record(struct sum *sums, uint64_t sites, uint64_t word0, uint64_t bytes) {
    if (PP_WORD0_STATE(word0) != PP_STATE_LIVE || PP_WORD0_SITE(word0) >= sites) return;
    struct pp_record record = {.bytes = bytes, .sampled_by = PP_WORD0_SAMPLED_BY(word0)};
    if (pp_sampled_mean != 0 && PP_WORD0_KIND(word0) == 0) return; /* watched, not sampled */
    double weight = pp_sampled_mean != 0 ? pp_sampled_weight(&record) : 1;
    sums[PP_WORD0_SITE(word0)].objects += weight;
    sums[PP_WORD0_SITE(word0)].bytes += weight * (double)bytes;
}

static void add_blocks(struct sum *sums, uint64_t sites) {
    uint64_t count = pp_segment_count(PP_AREA_BLOCKS);
    for (uint64_t i = 1; i < count; i++) {
        const struct pp_segment_block *block = PP_SEGMENT_BLOCK(i);
        add_record(sums, sites, PP_LOAD(&block->word0), PP_BLOCK_BYTES(PP_LOAD(&block->bytes)));
    }
    count = pp_segment_count(PP_AREA_RECORDS);
    for (uint64_t i = 1; i < count; i++) {
        uint64_t word0 = PP_LOAD(&PP_SEGMENT_RECORD(i)->word0);
        add_record(sums, sites, word0, PP_RECORD_BYTES(word0, PP_LOAD(&PP_SEGMENT_RECORD(i)->word1)));
    }
}

static void show_stack(uint32_t site) {
    uint32_t node = PP_SEGMENT_SITE(site)->node;
    uint64_t modules = pp_segment_count(PP_AREA_MODULES), nodes = pp_segment_count(PP_AREA_NODES);
    for (int shown = 0; node >= PP_NODE_FIRST && node < nodes && shown < FRAMES_SHOWN; shown++) {
        const struct pp_segment_node *at = PP_SEGMENT_NODE(node);
        uint64_t key = PP_LOAD(&at->key), pc = PP_NODE_PC(key);
        uint32_t module = PP_NODE_MODULE(key);
        if (module != 0 && module < modules) {
            const struct pp_segment_module *in = PP_SEGMENT_MODULE(module);
            line("    %s+0x%llx", pp_segment_text_at(in->path),
                 (unsigned long long)(pc - in->bias));
        } else {
            line("    0x%llx", (unsigned long long)pc); /* not covered: an address outside of all modules */
        }
        node = at->parent & ~PP_NODE_EXACT;
    }
}

static void show_sites(struct sum *sums, uint64_t sites) {
    for (int shown = 0; shown < SITES_SHOWN; shown++) {
        uint64_t best = 0;
        for (uint64_t i = 1; i < sites; i++)
            if (sums[i].bytes > sums[best].bytes ||
                (sums[i].bytes == sums[best].bytes && sums[i].objects > sums[best].objects))
                best = i;
        if (sums[best].objects == 0) return;
        uint64_t bytes = (uint64_t)(sums[best].bytes + 0.5), objects = (uint64_t)(sums[best].objects + 0.5);
        line("  %s%llu byte%s in %llu object%s", pp_sampled_mean != 0 ? "about " : "", (unsigned long long)bytes,
             plural(bytes), (unsigned long long)objects, plural(objects));
        if (best != 0) show_stack((uint32_t)best);
        sums[best] = (struct sum){0};
    }
}

/* With the socket of a watcher that was killed. */
static void remove_segment(void) {
    static char socket[4200];
    if (pp_segment.path[0] == 0) return;
    pp_os_unlink(pp_segment.path);
    pp_fmt(socket, sizeof socket, "%s.ctl", pp_segment.path);
    pp_os_unlink(socket);
}

static void save(void) {
    static char path[4096], numbered[4200];
    if (PP_LOAD(&pp_segment.header->sandboxed) != 0 || (pp_os_sandboxed() && !sandboxed_at_start)) {
        line("poolprof: the program has put itself under a seccomp filter; no file is written%s%s",
             pp_segment.path[0] != 0 ? ", the data is in " : "", pp_segment.path);
        return;
    }
    if (pp_os_confined()) {
        line("poolprof: a seccomp filter was in force from the start; no file is written");
        return;
    }
    if (!pp_process_profile_path(path, sizeof path)) {
        remove_segment(); /* not covered: POOLPROF_OUTPUT is none, and there is no watcher */
        return;
    }
    pp_text_copy(numbered, sizeof numbered, path);
    for (int number = 2; number < 1000; number++) {
        if (pp_segment_save(numbered)) {
            line("poolprof: `poolprof report %s` shows functions and lines", numbered);
            remove_segment();
            return;
        }
        if (!pp_os_exists(numbered)) break;
        pp_fmt(numbered, sizeof numbered, "%s.%d", path, number);
    }
    line("poolprof: %s could not be written; %s%s", numbered,
         pp_segment.path[0] != 0 ? "the data is in " : "the data is lost", pp_segment.path);
}

static PP_NOINLINE void report(void) {
    struct pp_segment_header *header = pp_segment.header;
    uint64_t sites = pp_segment_count(PP_AREA_SITES);
    uint64_t bytes = sites * sizeof(struct sum);
    struct sum *sums = pp_os_map(bytes);
    struct pooled more = pooled();
    if (PP_LOAD(&header->options.REPORT) != PP_REPORT_NONE) {
        uint64_t objects = total(PP_COUNTER_ALLOCATIONS) - total(PP_COUNTER_FREES) + more.objects;
        uint64_t held = total(PP_COUNTER_BYTES_ALLOCATED) - total(PP_COUNTER_BYTES_FREED) + more.bytes;
        line("poolprof: %llu object%s, %llu byte%s outstanding at exit (pid %u)", (unsigned long long)objects,
             plural(objects), (unsigned long long)held, plural(held), header->pid);
        if (pp_sampled_mean != 0)
            line("poolprof: sampled (POOLPROF_TRACK): one block in %llu bytes has a stack; sites are estimates "
                 "(\"about\"), the totals are exact", (unsigned long long)pp_sampled_mean);
        if (sums != NULL) {
            add_blocks(sums, sites);
            show_sites(sums, sites);
        }
    }
    if (sums != NULL) pp_os_unmap(sums, bytes);
    save();
}

void pp_brief_report(void) {
    uint32_t programs = pp_float_begin();
    report();
    pp_float_end(programs);
}
