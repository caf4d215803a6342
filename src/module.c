/*
 * Which mapped object an address belongs to. The loader's own lock-free index answers that
 * (_dl_find_object, about 3 ns); what this file adds is the number under which the object is
 * recorded in the segment, found by its link_map in a small hash of entries that are only added.
 *
 * For an object whose segments have gaps the loader names only the segment of the address, so the
 * whole range is taken from the program headers (Debian's node is such a one: the unwind table is
 * in another segment than the code).
 *
 * dlclose: the loader reuses addresses and link_maps, so what is known of a link_map is good only
 * for the generation in which it was last confirmed. On the first sight in a new generation the
 * object's identity (range, path, build-id) is looked for among all that are recorded: found, that
 * number is taken again (a plugin loaded and unloaded in turn keeps one number); not found, it is
 * recorded anew. Then all modules whose object is gone get their unloaded_tick.
 *
 * Callers: rules.c on a miss, unwind.c for frames without rules. A known module costs about 10 ns,
 * a new one some microseconds: ELF header and notes are copied by the kernel (pp_os_read_memory),
 * so that an odd or half-mapped image cannot fault.
 */
#include "module.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

#include "fmt.h"
#include "loader.h"
#include "lock.h"
#include "os.h"
#include "pool.h"
#include "registry.h"
#include "sampled.h"
#include "segment.h"

enum { BUCKETS = 64, BATCH = 32, INDEX_MAX = 0xffff, HEADERS_MAX = 40 };

/* One recorded module; written under the lock, range and index once. */
struct known {
    struct known *older;  /* in order of age: all of them */
    uintptr_t start, end; /* the whole object */
    uint64_t fingerprint; /* of path and build-id or unwind table */
    uint64_t identity;    /* of build-id and layout */
    struct link_map *map; /* where the loader had it when it was confirmed */
    uintptr_t segment;    /* what the loader then called its start */
    uint32_t generation;  /* last confirmed in */
    uint16_t index;
    bool gone;
};

/* What a link_map stood for when last looked at. */
struct sight {
    struct sight *next; /* in its bucket; as `map`, written before it is linked in */
    struct link_map *map;
    struct known *_Atomic module;
    _Atomic uint32_t generation; /* stored after `module` */
};

struct batch {
    char *at;
    unsigned left;
};

static struct {
    struct pp_lock lock; /* PP_RANK_MODULES: all below but the readers' walk of buckets */
    struct sight *_Atomic buckets[BUCKETS];
    struct known *newest;
    struct batch spare_known, spare_sights;
    uint32_t swept; /* generation in which gone modules were last looked for */
    char path[4096];
    unsigned char bytes[1024]; /* notes, or the head of the unwind table */
    Elf64_Phdr headers[HEADERS_MAX];
    unsigned header_count;
} modules;

_Atomic uint32_t pp_module_generation = 1;

void pp_module_unloaded(void) {
    uint32_t now = atomic_fetch_add_explicit(&pp_module_generation, 1, memory_order_release) + 1;
    if (pp_segment.header) PP_STORE(&pp_segment.header->generation, now);
}

static struct sight *_Atomic *bucket_of(const struct link_map *map) {
    return &modules.buckets[pp_mix((uintptr_t)map) % BUCKETS];
}

/* The build-id in `length` bytes of notes, or nothing. */
static uint32_t build_id_in(const unsigned char *notes, size_t length,
                            uint8_t id[PP_BUILD_ID_MAX]) {
    for (size_t at = 0; length - at >= sizeof(Elf64_Nhdr) && at <= length;) {
        Elf64_Nhdr note;
        memcpy(&note, notes + at, sizeof note);
        size_t name = at + sizeof note, room = length - name;
        size_t name_bytes = pp_round_up(note.n_namesz, 4), id_bytes = note.n_descsz;
        if (name_bytes > room || id_bytes > room - name_bytes) return 0;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            memcmp(notes + name, "GNU", 4) == 0) {
            if (id_bytes > PP_BUILD_ID_MAX) id_bytes = PP_BUILD_ID_MAX;
            memcpy(id, notes + name + name_bytes, id_bytes);
            return (uint32_t)id_bytes;
        }
        at = name + name_bytes + pp_round_up(id_bytes, 4);
        if (at > length) return 0;
    }
    return 0;
}

/* Program headers of the ELF image at `at` to modules.headers. Nothing in the image is trusted. */
static bool read_headers_at(uintptr_t at) {
    Elf64_Ehdr elf;
    modules.header_count = 0;
    if (!pp_os_read_memory((const void *)at, &elf, sizeof elf) ||
        memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 || elf.e_phentsize != sizeof(Elf64_Phdr) ||
        elf.e_phnum > HEADERS_MAX || elf.e_phoff > PP_PAGE_BYTES ||
        !pp_os_read_memory((const void *)(at + elf.e_phoff), modules.headers,
                           elf.e_phnum * sizeof(Elf64_Phdr)))
        return false;
    modules.header_count = elf.e_phnum;
    return true;
}

/* The whole object's range, for one with gaps; the loader's, where headers are not to be had. */
static void read_range(const struct dl_find_object *object, uintptr_t *start, uintptr_t *end) {
    uintptr_t bias = object->dlfo_link_map->l_addr, low = UINTPTR_MAX, high = 0;
    *start = (uintptr_t)object->dlfo_map_start;
    *end = (uintptr_t)object->dlfo_map_end;
    if (!read_headers_at(*start) && !read_headers_at(bias) &&
        !read_headers_at(pp_round_down(getauxval(AT_PHDR), PP_PAGE_BYTES)))
        return;
    for (unsigned i = 0; i < modules.header_count; i++) {
        const Elf64_Phdr *header = &modules.headers[i];
        uintptr_t from = pp_round_down(bias + header->p_vaddr, PP_PAGE_BYTES);
        if (header->p_type != PT_LOAD) continue;
        if (from < low) low = from;
        if (bias + header->p_vaddr + header->p_memsz > high)
            high = bias + header->p_vaddr + header->p_memsz;
    }
    if (low <= *start && high >= *end) {
        *start = low;
        *end = high;
    } else if (low > *start || high < *start) modules.header_count = 0; /* another object's */
}

/* Looks for the build-id in the mapped notes. */
static uint32_t read_build_id(uintptr_t bias, uintptr_t start, uintptr_t end,
                              uint8_t id[PP_BUILD_ID_MAX]) {
    for (unsigned i = 0; i < modules.header_count; i++) {
        const Elf64_Phdr *header = &modules.headers[i];
        size_t length = header->p_filesz, offset = bias + header->p_vaddr - start;
        if (header->p_type != PT_NOTE) continue;
        if (length > sizeof modules.bytes) length = sizeof modules.bytes;
        if (offset > end - start || length > end - start - offset ||
            !pp_os_read_memory((const void *)(start + offset), modules.bytes, length))
            continue;
        uint32_t found = build_id_in(modules.bytes, length, id);
        if (found) return found;
    }
    return 0;
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t count) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < count; i++) hash = (hash ^ at[i]) * 0x100000001b3u;
    return pp_mix(hash);
}

/* Puts the module's absolute path into modules.path; "" for the main program. */
static void read_path(const struct link_map *map) {
    const char *name = map->l_name ? map->l_name : "";
    size_t used = 0;
    if (pp_text_starts(name, "linux-vdso.so")) name = "[vdso]";
    if (name[0] && name[0] != '/' &&
        name[0] != '[') { /* as it was given to dlopen; the report runs elsewhere */
        int64_t length = pp_os_cwd(modules.path, sizeof modules.path / 2);
        if (length > 0) used = (size_t)length; /* not covered: a module that was opened by a relative name */
        while (used && modules.path[used - 1] == 0) used--; /* the kernel counts the terminator */
        modules.path[used++] = '/';
    }
    pp_text_copy(modules.path + used, sizeof modules.path - used, name);
}

/* Fills range and build-id, leaves the path in modules.path; returns a number over path and
 * build-id. */
static uint64_t identify(const struct dl_find_object *object, struct pp_segment_module *record) {
    read_range(object, &record->start, &record->end);
    record->bias = object->dlfo_link_map->l_addr;
    record->build_id_bytes =
        read_build_id(record->bias, record->start, record->end, record->build_id);
    read_path(object->dlfo_link_map);
    uint64_t hash = hash_bytes(1, modules.path, pp_text_length(modules.path));
    if (record->build_id_bytes) return hash_bytes(hash, record->build_id, record->build_id_bytes);
    /* No build-id: a rebuilt object has another unwind table. */
    uintptr_t table = (uintptr_t)object->dlfo_eh_frame;
    size_t bytes = table >= record->start && table < record->end ? record->end - table : 0;
    if (bytes > sizeof modules.bytes) bytes = sizeof modules.bytes;
    if (!bytes || !pp_os_read_memory((const void *)table, modules.bytes, bytes)) return hash;
    return hash_bytes(hash, modules.bytes, bytes);
}

static uint32_t flags_of(const struct dl_find_object *object) {
    uintptr_t self = (uintptr_t)&pp_module_find;
    uint32_t flags = 0;
    if (!object->dlfo_link_map->l_name || !object->dlfo_link_map->l_name[0])
        flags |= PP_MODULE_MAIN;
    if (self >= (uintptr_t)object->dlfo_map_start && self < (uintptr_t)object->dlfo_map_end)
        flags |= PP_MODULE_SELF;
    return flags;
}

/* The next element of a batch of private memory; NULL: refused. */
static void *take(struct batch *batch, size_t bytes) {
    if (batch->left == 0) {
        batch->at = pp_segment_private(BATCH * bytes);
        if (!batch->at) return NULL;
        batch->left = BATCH;
    }
    batch->left--;
    batch->at += bytes;
    return batch->at - bytes;
}

/* Two builds with one build-id (it can be set by hand) are told apart by their sizes, mostly. */
static uint64_t identity_of(const struct dl_find_object *object, const struct pp_segment_module *module) {
    uint64_t layout[] = {module->end - module->start, (uintptr_t)object->dlfo_eh_frame - module->start};
    if (module->build_id_bytes == 0) return 0;
    return hash_bytes(hash_bytes(1, module->build_id, module->build_id_bytes), layout, sizeof layout) | 1;
}

/* Records a module not seen before; NULL if there is no room. */
static struct known *record_module(const struct dl_find_object *object,
                                   const struct pp_segment_module *found, uint64_t fingerprint) {
    uint64_t index = pp_segment_take(PP_AREA_MODULES, 1);
    struct known *entry =
        index && index <= INDEX_MAX ? take(&modules.spare_known, sizeof *entry) : NULL;
    if (!entry) return NULL;
    struct pp_segment_module *record = PP_SEGMENT_MODULE(index);
    *record = *found;
    record->start = 0; /* until the rest is there, a reader takes it as not published */
    record->flags = flags_of(object);
    record->path =
        record->flags & PP_MODULE_MAIN ? pp_segment.header->exe : pp_segment_text(modules.path);
    record->loaded_tick = pp_segment_tick();
    atomic_store_explicit((_Atomic uint64_t *)&record->start, found->start, memory_order_release);
    *entry = (struct known){.older = modules.newest,
                            .start = found->start,
                            .end = found->end,
                            .fingerprint = fingerprint,
                            .identity = identity_of(object, found),
                            .index = (uint16_t)index};
    modules.newest = entry;
    return entry;
}

static void set_gone(struct known *entry) {
    entry->gone = true;
    PP_SEGMENT_MODULE(entry->index)->unloaded_tick = pp_segment_tick() | 1; /* not 0 */
}

/* Marks each module that was there when last looked and is not any more. */
static void sweep(uint32_t generation) {
    for (struct known *entry = modules.newest; entry; entry = entry->older) {
        struct dl_find_object object;
        if (entry->gone || entry->generation == generation) continue;
        if (_dl_find_object((void *)entry->segment, &object) == 0 &&
            object.dlfo_link_map == entry->map &&
            (uintptr_t)object.dlfo_map_start == entry->segment)
            continue; /* there, or its double; then it is told when its code is met */
        set_gone(entry);
    }
    modules.swept = generation;
}

static void replace_overlapping(const struct known *with) {
    for (struct known *entry = modules.newest; entry; entry = entry->older)
        if (entry != with && !entry->gone && entry->end > with->start && entry->start < with->end)
            set_gone(entry);
}

/* The module of an object that was not looked at in this generation. */
static struct known *identified(const struct dl_find_object *object, uint32_t generation) {
    struct pp_segment_module found = {.start = 0};
    uint64_t fingerprint = identify(object, &found);
    struct known *entry = modules.newest;
    while (entry && (entry->start != found.start || entry->end != found.end ||
                     entry->fingerprint != fingerprint))
        entry = entry->older;
    if (!entry) entry = record_module(object, &found, fingerprint);
    if (!entry) return NULL;
    if (entry->gone) PP_SEGMENT_MODULE(entry->index)->unloaded_tick = 0;
    entry->gone = false;
    entry->map = object->dlfo_link_map;
    entry->segment = (uintptr_t)object->dlfo_map_start;
    entry->generation = generation;
    replace_overlapping(entry);
    if (modules.swept != generation) sweep(generation);
    return entry;
}

static struct sight *sight_of(const struct link_map *map) {
    struct sight *sight = atomic_load_explicit(bucket_of(map), memory_order_acquire);
    while (sight && sight->map != map) sight = sight->next;
    return sight;
}

/* Under the lock: looks at an object and remembers what it is. */
static struct known *confirm(const struct dl_find_object *object, uint32_t generation) {
    struct known *entry = identified(object, generation);
    struct sight *sight = sight_of(object->dlfo_link_map), *fresh = NULL;
    if (!entry || (!sight && !(sight = fresh = take(&modules.spare_sights, sizeof *sight))))
        return entry; /* not covered: the bookkeeping has reached its bound */
    atomic_store_explicit(&sight->module, entry, memory_order_relaxed);
    atomic_store_explicit(&sight->generation, generation, memory_order_release);
    if (fresh) {
        struct sight *_Atomic *bucket = bucket_of(object->dlfo_link_map);
        fresh->map = object->dlfo_link_map;
        fresh->next = PP_LOAD(bucket);
        atomic_store_explicit(bucket, fresh, memory_order_release);
    }
    return entry;
}

static const struct known *look_up(const struct link_map *map, uint32_t generation) {
    struct sight *sight = sight_of(map);
    if (!sight || atomic_load_explicit(&sight->generation, memory_order_acquire) != generation)
        return NULL;
    return PP_LOAD(&sight->module);
}

bool pp_module_find(uintptr_t pc, struct pp_module *found) {
    struct dl_find_object object;
    uint32_t generation = atomic_load_explicit(&pp_module_generation, memory_order_acquire);
    if (_dl_find_object((void *)pc, &object) != 0) return false;
    const struct known *entry = look_up(object.dlfo_link_map, generation);
    if (PP_UNLIKELY(!entry) && pp_segment.header && pp_lock(&modules.lock)) {
        entry = look_up(object.dlfo_link_map, generation);
        if (!entry) entry = confirm(&object, generation);
        pp_unlock(&modules.lock);
        /* Its free() is how a dlclose shows; the loader's early objects are unknown there, and
           stay. */
        if (pp_sampled_mean != 0) pp_sampled_watch(object.dlfo_link_map);
        else if (!pp_pool_watch(object.dlfo_link_map)) pp_registry_watch(object.dlfo_link_map);
    }
    *found = (struct pp_module){.start = entry ? entry->start : (uintptr_t)object.dlfo_map_start,
                                .end = entry ? entry->end : (uintptr_t)object.dlfo_map_end,
                                .eh_frame_hdr = object.dlfo_eh_frame,
                                .identity = entry ? entry->identity : 0,
                                .index = entry ? entry->index : 0};
    return true;
}

void pp_module_reset(void) { memset(&modules, 0, sizeof modules); }
