/*
 * Gives back what heavy work has left resident: free memory of malloc, and the pages of program and libraries, which
 * come back from the page cache one by one as they are used again. A report touches some 8 MB of code and
 * tables that the watcher needs for nothing else. Any thread. Layer 0.
 */
#ifndef REPORT_TRIM_H
#define REPORT_TRIM_H

void trim(void);

#endif
