#define NAME bare_without_frame
#include "bare_functions.inc"
