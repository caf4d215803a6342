/*
 * /proc/PID/stat. The name in its second field may hold anything: blanks, parentheses, line ends. Layer 0.
 */
#ifndef REPORT_PROCESS_STAT_H
#define REPORT_PROCESS_STAT_H

#include <stdbool.h>
#include <stdint.h>

/* As in proc(5), counted from 1. */
enum process_stat_field { STAT_STATE = 3, STAT_PARENT = 4, STAT_FLAGS = 9, STAT_START = 22, STAT_EXIT_CODE = 52 };

struct process_stat {
    char text[1024];
};

/* `tid` 0: of the process as a whole. false: it is gone, or cannot be read. */
bool process_stat_read(struct process_stat *stat, int pid, int tid);
/* The text of a field from STAT_STATE on; "": it has none. */
const char *process_stat_text(const struct process_stat *stat, enum process_stat_field field);
/* 0: it has none. */
uint64_t process_stat_number(const struct process_stat *stat, enum process_stat_field field);

#endif
