/* The pages as they were built; no bytes if there are none. */
#ifndef REPORT_HTML_PAGE_H
#define REPORT_HTML_PAGE_H

#include <stdint.h>

/* The report's, with @DATA@ where the data goes. Private to html.c. */
extern const char html_page[];
extern const uint64_t html_page_bytes;

/* The dashboard's. Private to serve.c. */
extern const char html_dashboard[];
extern const uint64_t html_dashboard_bytes;

#endif
