/* SPDX-License-Identifier: MIT */
/*
 * uri: see uri.h.  All bytes are escaped but those that RFC 3986 calls
 * unreserved, and the slash.
 */
#include "uri.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int uri_of_path(char uri[URI_SIZE], const char *path)
{
	static const char plain[] = "/-._~0123456789"
				    "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char real[PATH_MAX], *to = uri + strlen("file://");
	const char *from;

	if (!realpath(path, real))
		return -errno;
	strcpy(uri, "file://");
	for (from = real; *from; from++)
		if (strchr(plain, *from))
			*to++ = *from;
		else
			to += sprintf(to, "%%%02X", (unsigned char)*from);
	*to = 0;
	return 0;
}
