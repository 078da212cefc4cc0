/* SPDX-License-Identifier: MIT */
#ifndef HTTP_NUMBER_H
#define HTTP_NUMBER_H

#include <stdint.h>

/**
 * http_number - digits and nothing else, at most @most
 *
 * Errors: -EINVAL, and then @value is as it was.
 */
int http_number(const char *text, uint64_t most, uint64_t *value);

#endif
