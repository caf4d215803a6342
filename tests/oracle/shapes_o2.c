#define TABLE shapes_o2
#include "shapes.inc"
