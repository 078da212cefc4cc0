/* SPDX-License-Identifier: MIT */
/* In place of liburcu's: all of the model is in one header. */
#include <urcu/urcu-memb.h>
