/* SPDX-License-Identifier: MIT */
/*
 * uri: a file's path as the protocol wants it.
 */
#ifndef LSP_URI_H
#define LSP_URI_H

#include <limits.h>

/* Room for any path that the system takes, each byte escaped. */
#define URI_SIZE (8 + 3 * PATH_MAX)

/*
 * uri_of_path - file:///..., of the file itself: links are followed
 *
 * 0, or why the file cannot be found: -ENOENT, -EACCES, -ELOOP, ...
 */
int uri_of_path(char uri[URI_SIZE], const char *path);

#endif
