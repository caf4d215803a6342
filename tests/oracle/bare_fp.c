#define NAME bare_with_frame
#include "bare_functions.inc"
