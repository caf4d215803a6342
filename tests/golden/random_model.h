/* A model with something in every field, the same for the same seed; for tests that must lose
 * nothing. */
#ifndef TESTS_RANDOM_MODEL_H
#define TESTS_RANDOM_MODEL_H

#include "model.h"

struct model *random_model(unsigned seed);

#endif
