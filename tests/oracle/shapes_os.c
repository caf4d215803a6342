#define TABLE shapes_os
#include "shapes.inc"
