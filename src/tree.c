/*
 * See tree.h. Segments are files named PID.NONCE, so "is my parent profiled" is a look into one
 * directory. The chain of parents is followed through /proc over processes that forked without being
 * profiled themselves (a shell's subshell).
 */
#include "tree.h"

#include "fmt.h"
#include "os.h"

#define ANCESTORS_MAX 8
#define NAME_MAX_ 64

struct chain {
    uint32_t count;
    int pids[ANCESTORS_MAX];
};

struct relative {
    int parent;
    uint64_t start_ticks;
};

static uint64_t number_at(const char *text) {
    uint64_t number = 0;
    for (; *text >= '0' && *text <= '9'; text++) number = number * 10 + (uint64_t)(*text - '0');
    return number;
}

/* Fields 4 and 22 of /proc/PID/stat, counted from the name in parentheses, which may hold anything.
   false: cannot be read. */
static bool read_stat(int pid, struct relative *relative) {
    char path[48], text[512];
    pp_fmt(path, sizeof path, "/proc/%d/stat", pid);
    int fd = pp_os_open(-100, path, 0, 0);
    int64_t got = fd < 0 ? -1 : pp_os_read(fd, text, sizeof text - 1), at = got - 1;
    if (fd >= 0) pp_os_close(fd);
    *relative = (struct relative){0};
    while (at >= 0 && text[at] != ')') at--;
    if (at < 0) return false;
    text[got] = 0;
    for (int field = 2; text[at] != 0 && field < 22; at++) {
        if (text[at] != ' ') continue;
        field++;
        if (field == 4) relative->parent = (int)number_at(text + at + 1);
        if (field == 22) relative->start_ticks = number_at(text + at + 1);
    }
    return relative->start_ticks != 0;
}

uint64_t pp_tree_start_ticks(void) {
    struct relative self;
    return read_stat(pp_os_pid(), &self) ? self.start_ticks : 0;
}

uint32_t pp_tree_namespace(void) { return (uint32_t)pp_os_inode("/proc/self/ns/pid"); }

static int parent_of(int pid) {
    struct relative relative;
    read_stat(pid, &relative);
    return relative.parent;
}

/* Next ancestor; 0 at the end. The first is this process itself: it may have come by exec. */
static int ancestor(struct chain *chain, uint32_t at) {
    if (at >= ANCESTORS_MAX) return 0;
    for (; chain->count <= at; chain->count++) {
        int before = chain->count > 0 ? chain->pids[chain->count - 1] : 0;
        int next = chain->count == 0   ? pp_os_pid()
                   : chain->count == 1 ? pp_os_parent_pid()
                   : before > 1        ? parent_of(before)
                                       : 0;
        chain->pids[chain->count] = next;
    }
    return chain->pids[at];
}

static struct pp_segment_header *map_header(int directory, const char *name) {
    int fd = pp_os_open(directory, name, 02 | 0400000 /* O_RDWR|O_NOFOLLOW */, 0);
    if (fd < 0) return NULL;
    struct pp_segment_header *header = pp_os_map_shared(fd, PP_SEGMENT_TREE_BYTES);
    pp_os_close(fd);
    if (header == NULL) return NULL;
    if (__builtin_memcmp(header->magic, PP_SEGMENT_MAGIC, 8) == 0 &&
        header->version == PP_SEGMENT_VERSION && header->uid == pp_os_uid())
        return header;
    pp_os_unmap(header, PP_SEGMENT_TREE_BYTES); /* seldom covered: a segment that is cut off in that moment */
    return NULL;
}

/* The process that the segment is about still lives: an old one's file may be left, its pid another's, also at the
   same time: containers that share the directory number alike. */
static bool is_of_living(const struct pp_segment_header *header) {
    struct relative now;
    uint32_t namespace = pp_tree_namespace();
    if (header->pid_namespace != namespace && header->pid_namespace != 0 && namespace != 0) return false;
    if (!read_stat((int)header->pid, &now)) return header->start_ticks == 0 && pp_os_alive((int)header->pid);
    return now.start_ticks == header->start_ticks;
}

static bool watcher_lives(const struct pp_segment_header *root) {
    static const char name[] = "poolprof-watch";
    char path[48], comm[sizeof name] = "";
    int32_t pid = PP_LOAD(&root->tree.watcher_pid);
    if (PP_LOAD(&root->options.WATCH) == 0 || pid == 0) return is_of_living(root); /* none, or not yet */
    if (pid < 0 || !pp_os_alive(pid)) return false;
    pp_fmt(path, sizeof path, "/proc/%d/comm", pid);
    int fd = pp_os_open(-100, path, 0, 0);
    if (fd < 0) return true;
    pp_os_read(fd, comm, sizeof comm - 1);
    pp_os_close(fd);
    return pp_text_equal(comm, name);
}

/* From a relative's segment to the tree's first process and its words. */
static bool take_over(int directory, const char *name, struct pp_tree_place *found) {
    struct pp_segment_header *header = map_header(directory, name), *root = header;
    if (header == NULL) return false;
    if (!is_of_living(header)) {
        pp_os_unmap(header, PP_SEGMENT_TREE_BYTES); /* seldom covered: the parent ends in that moment */
        return false;
    }
    if (header->tree_nonce != header->nonce) {
        char root_name[NAME_MAX_];
        pp_fmt(root_name, sizeof root_name, "%u.%016llx", header->tree_pid,
               (unsigned long long)header->tree_nonce);
        root = map_header(directory, root_name);
        pp_os_unmap(header, PP_SEGMENT_TREE_BYTES);
        if (root == NULL) return false;
    }
    if (!watcher_lives(root)) {
        pp_os_unmap(root, PP_SEGMENT_TREE_BYTES); /* seldom covered: the watcher ends in that moment */
        return false;
    }
    *found = (struct pp_tree_place){.words = &root->tree, .nonce = root->nonce, .pid = root->pid,
                                    .header = root};
    pp_os_hide_from_fork(root, PP_SEGMENT_TREE_BYTES);
    return true;
}

static void let_go(struct pp_tree_place *place) { /* not covered: the watcher leaves in that moment */
    pp_os_unmap(place->header, PP_SEGMENT_TREE_BYTES);
}

struct entry { /* the kernel's struct linux_dirent64 */
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

/* Pid that a segment's name starts with; 0: no segment's name (its watcher's socket has one more part). */
static int pid_of_name(const char *name) {
    int pid = 0;
    const char *at = name;
    for (; *at >= '0' && *at <= '9' && pid < 100000000; at++) pid = pid * 10 + (*at - '0');
    if (at == name || *at != '.') return 0;
    do at++;
    while ((*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'f'));
    return *at == 0 ? pid : 0;
}

/* Which generation back this pid is; `nearer_than`: none of those before. */
static uint32_t generation_of(struct chain *chain, int pid, uint32_t nearer_than) {
    for (uint32_t i = 0; pid != 0 && i < nearer_than && ancestor(chain, i) != 0; i++)
        if (ancestor(chain, i) == pid) return i;
    return nearer_than;
}

/* The tree of the nearest of the first `generations` ancestors with a segment in one directory.
   *others: there are segments of others, too. */
static bool look_in(const char *place, struct chain *chain, uint32_t generations,
                    struct pp_tree_place *found, bool *others) {
    char path[320];
    _Alignas(struct entry) char buffer[4096];
    uint32_t nearest = generations;
    int64_t got;
    pp_fmt(path, sizeof path, "%.250s/poolprof-%u", place, pp_os_uid());
    int fd = pp_os_open(-100, path, 0200000 | 0400000 /* O_DIRECTORY|O_NOFOLLOW */, 0);
    if (fd < 0) return false;
    bool trusted = pp_os_private_directory(path);
    while (trusted && (got = pp_os_list(fd, buffer, sizeof buffer)) > 0) {
        for (int64_t at = 0; at < got;) {
            const struct entry *entry = (const struct entry *)(buffer + at);
            int pid = pid_of_name(entry->name);
            uint32_t generation = generation_of(chain, pid, nearest);
            struct pp_tree_place other;
            at += entry->length;
            *others |= pid != 0;
            if (generation == nearest || !take_over(fd, entry->name, &other)) continue;
            if (nearest < generations) let_go(found);
            nearest = generation;
            *found = other;
        }
    }
    pp_os_close(fd);
    return nearest < generations;
}

void pp_tree_find(const char *const *places, struct pp_tree_place *found) {
    struct chain chain = {0};
    bool others = false;
    *found = (struct pp_tree_place){0};
    /* First by what is known without /proc: this process and its parent. */
    for (const char *const *place = places; *place != NULL; place++)
        if (look_in(*place, &chain, 2, found, &others)) return;
    for (const char *const *place = places; others && *place != NULL; place++)
        if (look_in(*place, &chain, ANCESTORS_MAX, found, &others)) return;
}

void pp_tree_ring(struct pp_tree *words) {
    atomic_fetch_add(&words->doorbell, 1);
    pp_os_futex_wake(&words->doorbell);
}
