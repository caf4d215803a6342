/* The page as it was built, with @DATA@ where the data goes; no bytes if there is none. Private to html.c. */
#ifndef REPORT_HTML_PAGE_H
#define REPORT_HTML_PAGE_H

#include <stdint.h>

extern const char html_page[];
extern const uint64_t html_page_bytes;

#endif
