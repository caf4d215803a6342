/*
 * Which mapped object an address belongs to. The loader's own lock-free index answers that
 * (_dl_find_object, about 3 ns); what this file adds is the number under which the object is recorded
 * in the segment, found by (link_map, start) in a small hash of entries that are only ever added.
 *
 * dlclose: the loader reuses addresses and link_maps, so an entry is good only for the generation in
 * which it was last confirmed. On the first sight in a new generation the object's identity (range,
 * path, build-id) is compared under the lock: equal, the entry is confirmed, and if the object had gone
 * it has come back (a plugin loaded and unloaded in turn keeps one number); different, it is recorded
 * anew. Then all entries whose object is gone get their unloaded_tick.
 *
 * Callers: rules.c on a miss, unwind.c for frames without rules. A known module costs about 10 ns, a
 * new one some microseconds: ELF header and notes are copied by the kernel (pp_os_read_memory), so
 * that an odd or half-mapped image cannot fault.
 */
#include "module.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>

#include "fmt.h"
#include "lock.h"
#include "os.h"
#include "registry.h"
#include "segment.h"

enum { BUCKETS = 64, BATCH = 42, INDEX_MAX = 0xffff, HEADERS_MAX = 40 };

/* One recorded module. `next` and the identity are written once, before it is linked in. */
struct known {
    struct known *next;  /* in its bucket */
    struct known *older; /* in order of age: all of them */
    uintptr_t start, end;
    uint64_t fingerprint;         /* of build-id or unwind table, and path */
    struct link_map *_Atomic map; /* where the loader had it when it was confirmed */
    _Atomic uint32_t generation;  /* last confirmed in; stored after `map` */
    uint16_t index;
    bool gone; /* protected by the lock */
};

static struct {
    struct pp_lock lock; /* PP_RANK_MODULES: all below but the readers' walk of buckets */
    struct known *_Atomic buckets[BUCKETS];
    struct known *newest;
    struct known *spare; /* entries not yet used */
    unsigned spares;
    uint32_t swept; /* generation in which gone modules were last looked for */
    char path[4096];
    unsigned char bytes[1024]; /* notes, or the head of the unwind table */
    Elf64_Phdr headers[HEADERS_MAX];
} modules;

_Atomic uint32_t pp_module_generation = 1;

void pp_module_unloaded(void) {
    uint32_t now = atomic_fetch_add_explicit(&pp_module_generation, 1, memory_order_release) + 1;
    if (pp_segment.header) PP_STORE(&pp_segment.header->generation, now);
}

static struct known *_Atomic *bucket_of(uintptr_t start) {
    return &modules.buckets[pp_mix(start) % BUCKETS];
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

/* Looks for the build-id in the mapped notes. Nothing in the image is trusted. */
static uint32_t read_build_id(const struct dl_find_object *object, uint8_t id[PP_BUILD_ID_MAX]) {
    const char *start = object->dlfo_map_start;
    size_t mapped = (size_t)((const char *)object->dlfo_map_end - start);
    uintptr_t bias = object->dlfo_link_map->l_addr;
    Elf64_Ehdr elf;
    if (mapped < sizeof elf || !pp_os_read_memory(start, &elf, sizeof elf) ||
        memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 || elf.e_phentsize != sizeof(Elf64_Phdr) ||
        elf.e_phnum > HEADERS_MAX)
        return 0;
    size_t bytes = elf.e_phnum * sizeof(Elf64_Phdr);
    if (elf.e_phoff > mapped || bytes > mapped - elf.e_phoff ||
        !pp_os_read_memory(start + elf.e_phoff, modules.headers, bytes))
        return 0;
    for (unsigned i = 0; i < elf.e_phnum; i++) {
        const Elf64_Phdr *header = &modules.headers[i];
        if (header->p_type != PT_NOTE) continue;
        size_t length = header->p_filesz, offset = bias + header->p_vaddr - (uintptr_t)start;
        if (length > sizeof modules.bytes) length = sizeof modules.bytes;
        if (offset > mapped || length > mapped - offset ||
            !pp_os_read_memory(start + offset, modules.bytes, length))
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
        if (length > 0) used = (size_t)length;
        while (used && modules.path[used - 1] == 0) used--; /* the kernel counts the terminator */
        modules.path[used++] = '/';
    }
    pp_text_copy(modules.path + used, sizeof modules.path - used, name);
}

/* Path (left in modules.path) and build-id; returns the number they are compared by. */
static uint64_t identify(const struct dl_find_object *object, struct pp_segment_module *record) {
    record->build_id_bytes = read_build_id(object, record->build_id);
    read_path(object->dlfo_link_map);
    uint64_t hash = hash_bytes(1, modules.path, pp_text_length(modules.path));
    if (record->build_id_bytes) return hash_bytes(hash, record->build_id, record->build_id_bytes);
    /* No build-id: a rebuilt object has another unwind table. */
    const char *table = object->dlfo_eh_frame;
    size_t bytes = table ? (size_t)((const char *)object->dlfo_map_end - table) : 0;
    if (bytes > sizeof modules.bytes) bytes = sizeof modules.bytes;
    if (!bytes || !pp_os_read_memory(table, modules.bytes, bytes)) return hash;
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

static struct known *new_entry(void) {
    if (modules.spares == 0) {
        modules.spare = pp_segment_private(BATCH * sizeof *modules.spare);
        if (!modules.spare) return NULL;
        modules.spares = BATCH;
    }
    modules.spares--;
    return modules.spare++;
}

/* Records a module not seen before; NULL if there is no room. */
static struct known *record_module(const struct dl_find_object *object,
                                   const struct pp_segment_module *found, uint64_t fingerprint) {
    struct known *entry = new_entry();
    uint64_t index = entry ? pp_segment_take(PP_AREA_MODULES, 1) : 0;
    if (!index || index > INDEX_MAX) {
        if (entry) modules.spare--, modules.spares++;
        return NULL;
    }
    struct pp_segment_module *record = PP_SEGMENT_MODULE(index);
    *record = *found;
    record->bias = object->dlfo_link_map->l_addr;
    record->flags = flags_of(object);
    record->path =
        record->flags & PP_MODULE_MAIN ? pp_segment.header->exe : pp_segment_text(modules.path);
    record->loaded_tick = pp_segment_tick();
    record->end = (uintptr_t)object->dlfo_map_end;
    atomic_thread_fence(memory_order_release); /* a reader takes start == 0 as not published */
    *(volatile uint64_t *)&record->start = (uintptr_t)object->dlfo_map_start;
    *entry = (struct known){.start = (uintptr_t)object->dlfo_map_start,
                            .fingerprint = fingerprint,
                            .end = (uintptr_t)object->dlfo_map_end,
                            .index = (uint16_t)index};
    return entry;
}

/* Under the lock: notes for each module that was there when last looked whether it still is. */
static void sweep(uint32_t generation) {
    for (struct known *entry = modules.newest; entry; entry = entry->older) {
        struct dl_find_object object;
        if (entry->gone || PP_LOAD(&entry->generation) == generation) continue;
        if (_dl_find_object((void *)entry->start, &object) == 0 &&
            object.dlfo_link_map == PP_LOAD(&entry->map) &&
            (uintptr_t)object.dlfo_map_start == entry->start &&
            (uintptr_t)object.dlfo_map_end == entry->end)
            continue; /* there, or its exact double; then it is told when its code is met */
        entry->gone = true;
        PP_SEGMENT_MODULE(entry->index)->unloaded_tick = pp_segment_tick() | 1;
    }
    modules.swept = generation;
}

static void replace_overlapping(const struct known *with) {
    for (struct known *entry = modules.newest; entry; entry = entry->older) {
        if (entry == with || entry->gone || entry->end <= with->start || entry->start >= with->end)
            continue;
        entry->gone = true;
        PP_SEGMENT_MODULE(entry->index)->unloaded_tick = pp_segment_tick() | 1;
    }
}

/* Under the lock: the entry of an object that was not confirmed in this generation. */
static struct known *confirm(const struct dl_find_object *object, uint32_t generation) {
    struct pp_segment_module found = {.start = 0};
    uint64_t fingerprint = identify(object, &found);
    uintptr_t start = (uintptr_t)object->dlfo_map_start;
    struct known *_Atomic *bucket = bucket_of(start);
    struct known *entry = PP_LOAD(bucket);
    while (entry && (entry->start != start || entry->end != (uintptr_t)object->dlfo_map_end ||
                     entry->fingerprint != fingerprint))
        entry = entry->next;
    bool fresh = !entry;
    if (fresh) entry = record_module(object, &found, fingerprint);
    if (!entry) return NULL;
    if (entry->gone) PP_SEGMENT_MODULE(entry->index)->unloaded_tick = 0;
    entry->gone = false;
    PP_STORE(&entry->map, object->dlfo_link_map);
    atomic_store_explicit(&entry->generation, generation, memory_order_release); /* after `map` */
    if (fresh) {
        entry->next = PP_LOAD(bucket);
        entry->older = modules.newest;
        modules.newest = entry;
        atomic_store_explicit(bucket, entry, memory_order_release);
    }
    replace_overlapping(entry);
    if (modules.swept != generation) sweep(generation);
    return entry;
}

static const struct known *look_up(const struct dl_find_object *object, uint32_t generation) {
    uintptr_t start = (uintptr_t)object->dlfo_map_start;
    struct known *entry = atomic_load_explicit(bucket_of(start), memory_order_acquire);
    for (; entry; entry = entry->next)
        if (entry->start == start &&
            atomic_load_explicit(&entry->generation, memory_order_acquire) == generation &&
            PP_LOAD(&entry->map) == object->dlfo_link_map)
            return entry;
    return NULL;
}

bool pp_module_find(uintptr_t pc, struct pp_module *found) {
    struct dl_find_object object;
    uint32_t generation = atomic_load_explicit(&pp_module_generation, memory_order_acquire);
    if (_dl_find_object((void *)pc, &object) != 0) return false;
    const struct known *entry = look_up(&object, generation);
    if (PP_UNLIKELY(!entry) && pp_segment.header && pp_lock(&modules.lock)) {
        entry = look_up(&object, generation);
        if (!entry) entry = confirm(&object, generation);
        pp_unlock(&modules.lock);
        /* Its free() is how a dlclose shows; the loader's early objects are unknown there, and stay. */
        pp_registry_watch(object.dlfo_link_map);
    }
    *found = (struct pp_module){.start = (uintptr_t)object.dlfo_map_start,
                                .end = (uintptr_t)object.dlfo_map_end,
                                .eh_frame_hdr = object.dlfo_eh_frame,
                                .index = entry ? entry->index : 0};
    return true;
}
