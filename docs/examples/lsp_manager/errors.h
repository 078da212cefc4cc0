/* SPDX-License-Identifier: MIT */
/*
 * errors: what a negative errno value means in this program.
 */
#ifndef LSP_ERRORS_H
#define LSP_ERRORS_H

/* One meaning each, in words that a person at the keyboard understands. */
const char *error_text(int error);

#endif
