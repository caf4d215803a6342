/* See html_page.h. The assembler takes the file as it is: no array of numbers to generate or compile. */
#include "html_page.h"

__asm__(".pushsection .rodata\n"
        ".globl html_page, html_page_bytes\n"
        "html_page: .incbin \"" PP_HTML_PAGE "\"\n"
        "html_page_end: .balign 8\n"
        "html_page_bytes: .quad html_page_end - html_page\n"
        ".globl html_dashboard, html_dashboard_bytes\n"
        "html_dashboard: .incbin \"" PP_HTML_DASHBOARD "\"\n"
        "html_dashboard_end: .balign 8\n"
        "html_dashboard_bytes: .quad html_dashboard_end - html_dashboard\n"
        ".popsection");
