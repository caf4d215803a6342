/* `poolprof list` and `poolprof options`: what there is to look at, what can be set. See
 * commands.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "config.h"
#include "locate.h"
#include "view.h"
#include "words.h"

#define DEAD_SHOWN 20u

static const char list_help[] =
    "usage: poolprof list [--prune] [--all]\n"
    "Profiles in this directory, and segments of running or dead processes of yours.\n"
    "`in use`: by a process of another pid namespace (a container), or by the watcher of one that has ended.\n"
    "Of a dead one nobody has made a profile: its watcher was killed, too, or there was none (POOLPROF_WATCH=0).\n"
    "  --prune    removes the segments of dead processes, and sockets of dead watchers\n"
    "  --all      shows all dead ones, not just the newest\n";

static const char options_help[] = "usage: poolprof options [--man]\n"
                                   "All options: variable, default, accepted range, meaning. "
                                   "`live` ones can change while it runs.\n"
                                   "  --man      the table as the man page has it\n";

static void put_time(struct timespec when) {
    char text[32];
    struct tm local;
    localtime_r(&when.tv_sec, &local);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
    fputs(text, stdout);
}

static void put_name(const char *name) {
    char *safe = words_safe(name);
    printf("  %s", safe);
    free(safe);
}

static int list_profiles(void) {
    size_t count;
    char bytes[WORDS_BYTES];
    struct locate_profile *profiles = locate_profiles(".", &count);
    if (profiles == NULL) {
        fprintf(stderr, "poolprof list: .: %s\n", strerror(errno)); /* not covered: the directory may not be read */
        return STATUS_UNREADABLE;
    }
    if (count > 0) puts("profiles here, newest first:");
    for (size_t i = 0; i < count; i++) {
        fputs("  ", stdout);
        put_time(profiles[i].changed);
        printf("  %10s", words_bytes((uint64_t)profiles[i].bytes, bytes));
        put_name(profiles[i].name);
        putchar('\n');
    }
    locate_profiles_free(profiles, count);
    return count > 0 ? -1 : STATUS_DONE;
}

static void put_segment(const struct locate_segment *segment) {
    static const char *const states[] = {
        [LOCATE_LIVE] = "running", [LOCATE_HELD] = "in use ", [LOCATE_ORPHAN] = "dead   "};
    char why[256];
    printf("  %s  pid %-8" PRIu32, states[segment->state], segment->pid);
    put_time(segment->changed);
    struct view *view = view_open_path(segment->path, why, sizeof why);
    if (view == NULL) {
        put_name(segment->path); /* seldom covered: a segment that is cut off in that moment */
        printf(" (%s)\n", why);
        return;
    }
    char *exe = view_text(view, view_header(view)->exe, NULL);
    put_name(words_base(exe));
    put_name(segment->path);
    putchar('\n');
    free(exe);
    view_close(view);
}

struct listing {
    bool prune, all, profiles;
};

static int remove_all(const struct locate_segment *segments, size_t count, size_t *removed) {
    int status = STATUS_DONE;
    for (size_t i = 0; i < count; i++) {
        if (segments[i].state != LOCATE_ORPHAN) continue;
        if (unlink(segments[i].path) == 0) {
            ++*removed;
            continue;
        }
        fprintf(stderr, "poolprof list: %s: %s\n", segments[i].path, strerror(errno));
        status = STATUS_UNREADABLE; /* not covered: another user's directory */
    }
    return status;
}

static int prune(const struct locate_segment *segments, size_t count) {
    size_t removed = 0, closed = 0, socket_count;
    char words[WORDS_BYTES];
    int status = remove_all(segments, count, &removed);
    struct locate_segment *sockets = locate_lone_sockets(&socket_count);
    int other = remove_all(sockets, socket_count, &closed);
    locate_segments_free(sockets, socket_count);
    printf("removed %s", words_counted(removed, "segment", words));
    if (closed > 0) printf(" and %s of watchers that are gone", words_counted(closed, "socket", words));
    putchar('\n');
    return status != STATUS_DONE ? status : other;
}

static int list_segments(const struct listing *listing) {
    size_t count, dead = 0;
    char words[WORDS_BYTES];
    struct locate_segment *segments = locate_segments(&count);
    if (count > 0) printf("%ssegments:\n", listing->profiles ? "\n" : "");
    for (size_t i = 0; i < count; i++) {
        if (segments[i].state == LOCATE_ORPHAN && dead++ >= DEAD_SHOWN && !listing->all) continue;
        put_segment(&segments[i]);
    }
    if (dead > DEAD_SHOWN && !listing->all)
        printf("  and %s more dead ones (--all shows them, --prune removes them)\n",
               words_count(dead - DEAD_SHOWN, words)); /* not covered: more dead segments than DEAD_SHOWN */
    if (dead > 0 && !listing->prune)
        puts("  `poolprof report PATH` shows what a dead one left, `poolprof merge -o FILE PATH` keeps it");
    if (count == 0 && !listing->profiles) puts("no profiles here, and no segments");
    int status = listing->prune ? prune(segments, count) : STATUS_DONE;
    locate_segments_free(segments, count);
    return status;
}

int list_main(int argc, char **argv) {
    struct listing listing = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(list_help, stdout);
            return STATUS_DONE;
        }
        if (strcmp(argv[i], "--prune") == 0) listing.prune = true;
        else if (strcmp(argv[i], "--all") == 0) listing.all = true;
        else return usage_error("list", "'%s' is neither --prune nor --all", argv[i]);
    }
    int listed = list_profiles();
    if (listed > 0) return listed;
    listing.profiles = listed < 0;
    return list_segments(&listing);
}

/* ---- options ---- */

static void put_plain(const struct pp_option *row) {
    char range[160];
    pp_config_range(row, range, sizeof range);
    printf("POOLPROF_%s=%s%s\n    %s\n    %s\n", row->name, row->initial,
           row->live ? "  (live)" : "", row->help, range);
}

/* Text that troff would read as its own. */
static void put_troff(const char *text) {
    if (*text == '.' || *text == '\'') fputs("\\&", stdout);
    for (; *text != 0; text++) {
        if (*text == '\\') fputs("\\e", stdout);
        else if (*text == '-') fputs("\\-", stdout);
        else putchar(*text);
    }
}

static void put_man(const struct pp_option *row) {
    char range[160];
    pp_config_range(row, range, sizeof range);
    printf(".TP\n.BI POOLPROF_%s= \"", row->name);
    put_troff(row->initial);
    printf("\"\n");
    put_troff(row->help);
    printf(".\n.br\nAccepted: ");
    put_troff(range);
    printf("%s.\n", row->live ? "; may change while the program runs" : "");
}

int options_main(int argc, char **argv) {
    bool man = argc == 2 && strcmp(argv[1], "--man") == 0;
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(options_help, stdout);
        return STATUS_DONE;
    }
    if (argc > 1 && !man) return usage_error("options", "'%s': it takes no arguments", argv[1]);
    for (size_t i = 0; i < PP_OPTION_COUNT; i++) {
        if (man) put_man(&pp_option_table[i]);
        else put_plain(&pp_option_table[i]);
    }
    return STATUS_DONE;
}
