/*
 * `poolprof top PID`: what a running process allocates, live. On a terminal by curses, elsewhere as plain text.
 * Reads the segment; nothing is asked of the program or its watcher, but for C++ classes (top_view.h). See commands.h.
 *
 * Rates are over the last TOP_WINDOW_S to twice that: each page has two earlier tables, and the older gives way
 * when the newer has that age.
 */
#include <curses.h>
#include <getopt.h>
#include <locale.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "locate.h"
#include "model.h"
#include "top_view.h"

#define TOP_WINDOW_S 5.0
#define TOP_COST 10        /* a look that takes long is made so much more rarely */
#define PLAIN_ROWS 20u
#define PLAIN_WIDTH 120u
#define FILTER_BYTES 64

struct top {
    struct top_source source;
    struct top_table older[TOP_PAGE_COUNT], newer[TOP_PAGE_COUNT];
    struct top_table shown;
    char *head;
    enum top_page page;
    size_t sorted[TOP_PAGE_COUNT];
    bool reverse, paused, ended, typing;
    bool screen;            /* curses is up */
    size_t first;           /* row shown first */
    char filter[FILTER_BYTES];
    double delay_s, due_s;
    size_t looks, rows;     /* how many to make, 0: no end; plain rows per page */
};

static const char top_help[] =
    "usage: poolprof top PID [--page PAGE] [--filter TEXT] [--delay SECONDS] [--count N] [--rows N]\n"
    "What a running process holds and allocates, live; the process is not disturbed.\n"
    "  --page PAGE      sites, pools, sizes (classes of them), threads or tags; plain text without it: all these;\n"
    "                   classes: of C++, by a leak scan, for which the process stands still for a moment\n"
    "  --filter TEXT    only rows whose name holds it\n"
    "  --delay SECONDS  from one look to the next; 1 is the default\n"
    "  --count N        ends after so many; 1 is the default where output is no terminal\n"
    "  --rows N         plain text: rows of each page; 20 is the default\n"
    "Keys: 1 to 6 or tab: page; s, S: sort by the next, previous column; r: reverse; /: filter;\n"
    "l: look again for classes; space: pause; arrows, page up and down; q: quit.\n";

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- looking ---- */

static void remember(struct top *top, const struct top_table *now) {
    struct top_table *older = &top->older[top->page], *newer = &top->newer[top->page];
    if (!older->columns) {
        top_table_copy(older, now);
        top_table_copy(newer, now);
    }
    if (now->t_s - newer->t_s < TOP_WINDOW_S)
        return;
    top_table_fini(older); /* not covered: longer than TOP_WINDOW_S */
    *older = *newer;
    top_table_copy(newer, now);
}

static void arrange(struct top *top) {
    top_table_filter(&top->shown, top->filter);
    top_table_sort(&top->shown, top->sorted[top->page], top->reverse);
}

/* It may take a while. */
static void put_scanning(const struct top *top) {
    if (!top->screen)
        return;
    mvaddstr(LINES - 1, 0, "looking through the process's memory ...");
    clrtoeol();
    refresh();
}

static void look(struct top *top) {
    double begun_s = now_s();
    struct top_table now;
    if (top->page == TOP_CLASSES && !top->source.classes.columns)
        top->source.scan_wanted = true;
    if (top->page == TOP_CLASSES && top->source.scan_wanted)
        put_scanning(top);
    if (kill(top->source.pid, 0) != 0 || !top_view_read(&top->source, top->page, &now)) {
        top->ended = true;
        return;
    }
    top->ended = view_header(top->source.view)->end != PP_END_RUNNING;
    remember(top, &now);
    top_table_rates(&now, &top->older[top->page]);
    top_table_fini(&top->shown);
    top->shown = now;
    arrange(top);
    free(top->head);
    top->head = top_view_head(&top->source);
    top->due_s = begun_s + fmax(top->delay_s, (now_s() - begun_s) * TOP_COST);
}

/* ---- plain ---- */

static void put_page(struct top *top) {
    char *line = top_table_head(&top->shown, top->sorted[top->page], PLAIN_WIDTH);
    printf("\n%s\n", line ? line : "");
    free(line);
    for (size_t i = 0; i < top->shown.count && i < top->rows; i++) {
        line = top_table_line(&top->shown, &top->shown.rows[i], PLAIN_WIDTH);
        printf("%s\n", line ? line : "");
        free(line);
    }
    if (top->shown.count > top->rows)
        printf("%*s  ... and %zu more\n", TOP_COLUMN_WIDTH, "", top->shown.count - top->rows);
}

static void put_all(struct top *top, bool one) {
    enum top_page asked = top->page;
    for (enum top_page page = one ? asked : 0; page < (one ? asked + 1 : TOP_PAGE_COUNT) && !top->ended; page++) {
        if (page == TOP_CLASSES && !one) /* not without being asked */
            continue;
        top->page = page;
        look(top);
        if (page == (one ? asked : 0) && top->head)
            printf("%s\n", top->head);
        if (top->shown.count > 0 || one)
            put_page(top);
    }
    top->page = asked;
    fflush(stdout);
}

/* Two looks, so that there are rates. */
static void run_plain(struct top *top, bool one) {
    size_t looks = top->looks > 0 ? top->looks : 1;
    enum top_page asked = top->page;
    for (enum top_page page = 0; page < TOP_PAGE_COUNT; page++) {
        if (one ? page != asked : page == TOP_CLASSES)
            continue;
        top->page = page;
        look(top);
    }
    top->page = asked;
    for (size_t i = 0; i < looks && !top->ended; i++) {
        top->source.scan_wanted = i > 0;
        const struct timespec pause = {.tv_sec = (time_t)top->delay_s,
                                       .tv_nsec = (long)(fmod(top->delay_s, 1) * 1e9)};
        nanosleep(&pause, NULL);
        put_all(top, one);
    }
}

/* ---- curses ---- */

static void put_keys(const struct top *top) {
    if (top->typing) {
        mvprintw(LINES - 1, 0, "filter: %s", top->filter);
        clrtoeol();
        return;
    }
    attron(A_DIM);
    mvprintw(LINES - 1, 0, "%s%s%s%s%s1-6 page  s sort  r reverse  / filter  space pause  q quit",
             top->ended ? "ENDED  " : "", top->paused ? "PAUSED  " : "", top->filter[0] ? "[" : "", top->filter,
             top->filter[0] ? "]  " : "");
    attroff(A_DIM);
    clrtoeol();
}

static void put_line(int row, char *line, int attributes) {
    if (!line)
        return; /* not covered: no memory */
    attron(attributes);
    mvaddstr(row, 0, line);
    attroff(attributes);
    free(line);
}

static void put_tabs(const struct top *top) {
    move(1, 0);
    for (int page = 0; page < TOP_PAGE_COUNT; page++) {
        attron(page == (int)top->page ? A_REVERSE : A_NORMAL);
        printw(" %d %s ", page + 1, top_page_names[page]);
        attrset(A_NORMAL);
    }
}

static void draw(struct top *top) {
    size_t width = COLS > 20 ? (size_t)COLS - 1 : 20, room = LINES > 4 ? (size_t)LINES - 4 : 0;
    if (top->first + room > top->shown.count)
        top->first = top->shown.count > room ? top->shown.count - room : 0;
    erase();
    if (top->head)
        mvaddnstr(0, 0, top->head, COLS);
    put_tabs(top);
    put_line(2, top_table_head(&top->shown, top->sorted[top->page], width), A_BOLD);
    for (size_t i = 0; i < room && top->first + i < top->shown.count; i++)
        put_line((int)i + 3, top_table_line(&top->shown, &top->shown.rows[top->first + i], width), A_NORMAL);
    put_keys(top);
    refresh();
}

static void turn_to(struct top *top, enum top_page page) {
    top->page = page;
    top->first = 0;
    look(top);
}

static void type(struct top *top, int key) {
    size_t length = strlen(top->filter);
    if (key == '\n' || key == '\r' || key == KEY_ENTER)
        top->typing = false;
    else if (key == 27) {
        top->typing = false;
        top->filter[0] = 0;
    }
    else if ((key == KEY_BACKSPACE || key == 127 || key == 8) && length > 0)
        top->filter[length - 1] = 0;
    else if (key >= ' ' && key < 256 && length + 1 < FILTER_BYTES) {
        top->filter[length] = (char)key;
        top->filter[length + 1] = 0;
    }
    look(top);
}

static void scroll_by(struct top *top, int rows) {
    if (rows < 0 && top->first < (size_t)-rows)
        top->first = 0;
    else
        top->first += (size_t)rows; /* draw() knows the end */
}

/* false: quit. */
static bool press(struct top *top, int key) {
    size_t columns = top->shown.column_count ? top->shown.column_count : 1;
    if (top->typing)
        type(top, key);
    else if (key == 'q' || key == 3)
        return false;
    else if (key >= '1' && key < '1' + TOP_PAGE_COUNT)
        turn_to(top, (enum top_page)(key - '1'));
    else if (key == '\t')
        turn_to(top, (enum top_page)((top->page + 1) % TOP_PAGE_COUNT));
    else if (key == 's' || key == 'S')
        top->sorted[top->page] = (top->sorted[top->page] + (key == 's' ? 1 : columns - 1)) % columns;
    else if (key == 'r')
        top->reverse = !top->reverse;
    else if (key == 'l' && top->page == TOP_CLASSES) {
        top->source.scan_wanted = true;
        look(top);
    } else if (key == ' ')
        top->paused = !top->paused;
    else if (key == '/')
        top->typing = true;
    else if (key == KEY_DOWN || key == KEY_UP)
        scroll_by(top, key == KEY_DOWN ? 1 : -1);
    else if (key == KEY_NPAGE || key == KEY_PPAGE)
        scroll_by(top, key == KEY_NPAGE ? LINES - 4 : 4 - LINES);
    arrange(top);
    return true;
}

static bool run_curses(struct top *top) {
    size_t made = 1;
    setlocale(LC_ALL, "");
    SCREEN *screen = newterm(NULL, stdout, stdin);
    if (!screen)
        return false; /* not covered: a terminal that terminfo does not know */
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    curs_set(0);
    top->screen = true;
    look(top);
    for (;;) {
        draw(top);
        timeout((int)fmax((top->due_s - now_s()) * 1000, 10));
        int key = getch();
        if (key != ERR && key != KEY_RESIZE && !press(top, key))
            break;
        if (now_s() < top->due_s || top->paused || top->ended)
            continue;
        if (top->looks > 0 && made++ >= top->looks)
            break;
        look(top);
    }
    endwin();
    delscreen(screen);
    return true;
}

/* ---- the command ---- */

static int find_page(const char *name) {
    for (int page = 0; page < TOP_PAGE_COUNT; page++)
        if (strcmp(top_page_names[page], name) == 0)
            return page;
    return -1;
}

static bool parse_number(const char *text, double least, double most, double *value) {
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == 0 && *value >= least && *value <= most;
}

/* 0, or the status to end with. */
static int parse_option(struct top *top, int option, const char *word, int *page) {
    double number;
    switch (option) {
    case 'p':
        *page = find_page(optarg);
        return *page >= 0
                   ? 0
                   : usage_error("top", "--page: '%s' is none of sites, pools, sizes, classes, threads, tags", optarg);
    case 'f':
        snprintf(top->filter, sizeof top->filter, "%s", optarg);
        return 0;
    case 'd':
        return parse_number(optarg, 0.1, 3600, &top->delay_s)
                   ? 0 : usage_error("top", "--delay: '%s' is not a number of seconds from 0.1 to 3600", optarg);
    case 'n':
    case 'r':
        if (!parse_number(optarg, 1, 1e9, &number))
            return usage_error("top", "--%s: '%s' is not a number from 1 on", option == 'n' ? "count" : "rows", optarg);
        *(option == 'n' ? &top->looks : &top->rows) = (size_t)number;
        return 0;
    default:
        return usage_error("top", option == ':' ? "%s needs a value" : "'%s' is no option of top; --help lists them",
                           word);
    }
}

static int parse(int argc, char **argv, struct top *top, int *page) {
    static const struct option options[] = {{"page", required_argument, NULL, 'p'},
                                            {"filter", required_argument, NULL, 'f'},
                                            {"delay", required_argument, NULL, 'd'},
                                            {"count", required_argument, NULL, 'n'},
                                            {"rows", required_argument, NULL, 'r'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int option, status = 0;
    opterr = 0;
    while (status == 0 && (option = getopt_long(argc, argv, ":h", options, NULL)) >= 0) {
        if (option == 'h') {
            fputs(top_help, stdout);
            exit(STATUS_DONE);
        }
        status = parse_option(top, option, argv[optind - 1], page);
    }
    if (status != 0)
        return status;
    char *end;
    long pid = optind + 1 == argc ? strtol(argv[optind], &end, 10) : 0;
    if (optind + 1 != argc)
        return usage_error("top", "it is: poolprof top PID [OPTIONS]");
    if (pid <= 0 || pid > INT32_MAX || *end != 0)
        return usage_error("top", "'%s' is no process's number", argv[optind]);
    top->source.pid = (int)pid;
    return 0;
}

static int open_source(struct top *top) {
    char why[512] = "no process of that number is watched (`poolprof list` shows them)";
    char *path = locate_segment_of((uint32_t)top->source.pid);
    top->source.view = path ? view_open_path(path, why, sizeof why) : NULL;
    free(path);
    if (top->source.view)
        return STATUS_DONE;
    fprintf(stderr, "poolprof top: %d: %s\n", top->source.pid, why);
    return STATUS_UNREADABLE;
}

static void close_all(struct top *top) {
    for (int page = 0; page < TOP_PAGE_COUNT; page++) {
        top_table_fini(&top->older[page]);
        top_table_fini(&top->newer[page]);
    }
    top_table_fini(&top->shown);
    top_table_fini(&top->source.classes);
    free(top->head);
    symbol_cache_destroy(top->source.symbols);
    view_close(top->source.view);
}

int top_main(int argc, char **argv) {
    struct top top = {.delay_s = 1, .rows = PLAIN_ROWS};
    int page = -1, status = parse(argc, argv, &top, &page);
    if (status == 0)
        status = open_source(&top);
    if (status != 0)
        return status;
    top.source.symbols = symbol_cache_create();
    top.page = page >= 0 ? (enum top_page)page : TOP_SITES;
    bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (!terminal || !run_curses(&top))
        run_plain(&top, page >= 0);
    close_all(&top);
    return STATUS_DONE;
}
