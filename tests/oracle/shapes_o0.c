#define TABLE shapes_o0
#include "shapes.inc"
