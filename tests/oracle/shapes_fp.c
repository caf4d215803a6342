#define TABLE shapes_fp
#include "shapes.inc"
