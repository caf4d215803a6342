/*
 * What is asked of a program by the company it keeps (neighbours.py): program MODE. Each mode also leaves five blocks
 * of 77 bytes, by leak_77, for the profile, prints "done" and ends with status 3.
 *
 *   plain    some work on the heap
 *   deepbind LIBRARY   a library with symbols of its own first: its blocks come from the C library
 *   dlmopen LIBRARY    in link-map lists of their own, three times
 *   tls LIBRARY...     as many as the static TLS has room for; prints how many
 *   mapped FILE        an ELF file mapped as a loader of its own would, called and unmapped, twice at the same place
 *   threads N          all at once, with a block each that main frees
 *   turns N            one after the other ends and makes room for the next, 200 at once
 *   sigchld            SIGCHLD ends it with status 1; it has no child, but is meant to be started by exec
 *   ends               blocks made and freed by key destructors, each of which makes the next, and by atexit handlers
 */
#include <dlfcn.h>
#include <elf.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHECK(x) ((x) ? (void)0 : (printf("%d: failed: %s\n", __LINE__, #x), exit(99)))

enum { THREADS_MOST = 20000 };

static void *volatile sink;

__attribute__((noinline)) static void *leak_77(void) { return malloc(77); }

/* By its address, which in a program of fixed addresses (`fixed`) is one of its own. */
static void *(*volatile allocate)(size_t);

static void work(void) {
    allocate = malloc;
    for (size_t i = 0; i < 20000; i++) {
        sink = allocate(i % 3000);
        free(realloc(sink, i % 5000 + 1));
    }
}

struct plugin {
    void *(*allocate)(size_t);
    void (*release)(void *);
};

static struct plugin symbols_of(void *library) {
    struct plugin plugin;
    if (library == NULL) puts(dlerror());
    CHECK(library != NULL);
    *(void **)&plugin.allocate = dlsym(library, "plugin_allocate");
    *(void **)&plugin.release = dlsym(library, "plugin_release");
    CHECK(plugin.allocate && plugin.release);
    return plugin;
}

static void deepbind(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_DEEPBIND);
    struct plugin plugin = symbols_of(library);
    for (size_t i = 0; i < 3000; i++) {
        plugin.release(plugin.allocate(i));
        free(plugin.allocate(i));
        free(realloc(plugin.allocate(10), i + 1));
    }
    free(plugin.allocate(3000000));
    dlclose(library);
}

static void other_lists(const char *path) {
    for (int k = 0; k < 3; k++) {
        void *library = dlmopen(LM_ID_NEWLM, path, RTLD_NOW);
        struct plugin plugin = symbols_of(library);
        for (size_t i = 0; i < 3000; i++) plugin.release(plugin.allocate(i));
        if (k == 2) dlclose(library);
    }
}

static int static_tls(char **paths) {
    int loaded = 0;
    while (paths[loaded] != NULL && dlopen(paths[loaded], RTLD_NOW) != NULL) loaded++;
    return loaded;
}

typedef void (*entry_function)(void *(*)(size_t), void (*)(void *));

/* Without relocations to do. Nothing here tells the C library of the code. */
static entry_function map_at(char *base, FILE *file) {
    Elf64_Ehdr header;
    Elf64_Phdr part;
    CHECK(fread(&header, sizeof header, 1, file) == 1);
    for (int i = 0; i < header.e_phnum; i++) {
        CHECK(fseek(file, (long)header.e_phoff + i * (long)sizeof part, SEEK_SET) == 0);
        CHECK(fread(&part, sizeof part, 1, file) == 1);
        if (part.p_type != PT_LOAD) continue;
        CHECK(fseek(file, (long)part.p_offset, SEEK_SET) == 0);
        CHECK(fread(base + part.p_vaddr, 1, part.p_filesz, file) == part.p_filesz);
    }
    return (entry_function)(base + header.e_entry);
}

static void mapped(const char *path) {
    enum { BYTES = 1 << 20 };
    char *base = NULL;
    for (int i = 0; i < 2; i++) {
        FILE *file = fopen(path, "r");
        CHECK(file != NULL);
        base = mmap(base, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | (base ? MAP_FIXED : 0), -1, 0);
        CHECK(base != MAP_FAILED);
        entry_function enter = map_at(base, file);
        fclose(file);
        CHECK(mprotect(base, BYTES, PROT_READ | PROT_EXEC) == 0);
        enter(malloc, free);
        CHECK(munmap(base, BYTES) == 0);
    }
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static int waiting, released;

static void *wait_for_all(void *unused) {
    void *block = malloc(1000);
    pthread_mutex_lock(&mutex);
    waiting++;
    pthread_cond_broadcast(&turn);
    while (!released) pthread_cond_wait(&turn, &mutex);
    pthread_mutex_unlock(&mutex);
    free(block);
    return malloc(20);
}

static void many_threads(int count) {
    static pthread_t threads[THREADS_MOST];
    pthread_attr_t attributes;
    CHECK(count <= THREADS_MOST);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536);
    for (int i = 0; i < count; i++) CHECK(pthread_create(&threads[i], &attributes, wait_for_all, NULL) == 0);
    pthread_mutex_lock(&mutex);
    while (waiting < count) pthread_cond_wait(&turn, &mutex);
    released = 1;
    pthread_cond_broadcast(&turn);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < count; i++) {
        void *block;
        CHECK(pthread_join(threads[i], &block) == 0 && block != NULL);
        free(block);
    }
}

static void *free_and_make(void *block) {
    free(block);
    free(realloc(malloc(100), 3000));
    return malloc(24);
}

static void threads_in_turn(int count) {
    static pthread_t threads[200];
    enum { ROOM = sizeof threads / sizeof *threads };
    for (int i = 0; i < count + ROOM; i++) {
        void *block = NULL;
        if (i >= ROOM) CHECK(pthread_join(threads[i % ROOM], &block) == 0 && block != NULL);
        if (i >= count) free(block);
        else CHECK(pthread_create(&threads[i % ROOM], NULL, free_and_make, block) == 0);
    }
}

static pthread_key_t key;
static __thread int generation;

static void at_key_end(void *block) {
    free(block);
    if (generation++ < 3) pthread_setspecific(key, malloc(5000));
    free(malloc(100));
}

static void *with_key(void *unused) {
    pthread_setspecific(key, malloc(60));
    return unused;
}

static void at_end(void) {
    work();
    sink = leak_77();
}

static void ends(void) {
    CHECK(pthread_key_create(&key, at_key_end) == 0);
    for (int i = 0; i < 30; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, with_key, NULL) == 0 && pthread_join(thread, NULL) == 0);
    }
    for (int i = 0; i < 5; i++) CHECK(atexit(at_end) == 0);
}

static void at_child_end(int number) { _exit(1); }

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "plain", *argument = argc > 2 ? argv[2] : "";
    work();
    if (!strcmp(mode, "deepbind")) deepbind(argument);
    if (!strcmp(mode, "dlmopen")) other_lists(argument);
    if (!strcmp(mode, "mapped")) mapped(argument);
    if (!strcmp(mode, "tls")) printf("%d\n", static_tls(argv + 2));
    if (!strcmp(mode, "sigchld")) signal(SIGCHLD, at_child_end);
    if (!strcmp(mode, "threads")) many_threads(atoi(argument));
    if (!strcmp(mode, "turns")) threads_in_turn(atoi(argument));
    if (!strcmp(mode, "ends")) ends();
    else for (int i = 0; i < 5; i++) sink = leak_77();
    puts("done");
    return 3;
}
