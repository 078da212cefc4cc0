/* SPDX-License-Identifier: MIT */
/*
 * The client of a status server: no thread, no library, one connection for
 * each call.
 *
 *     if (get_status("127.0.0.1:8080", fh_deadline_in(...), &status) == 0)
 *             puts(status.text);
 */
#ifndef GET_STATUS_H
#define GET_STATUS_H

#include <stddef.h>
#include <stdint.h>

/** What the server had to say; free `text`. */
struct status_text {
	char *text;		/* a NUL behind it, and maybe within */
	size_t length;
	uint64_t epoch;
};

/**
 * get_status - ask for the present status
 * @address:  host:port, [v6]:port, or the same behind http://
 * @deadline: in nanoseconds of CLOCK_MONOTONIC; finding the host's address
 *            is up to the resolver and may take longer
 *
 * Errors: -EINVAL: no such address can be; -EHOSTUNREACH: no such host;
 * -ETIMEDOUT; -EPROTO: what answers is no status server; -EBUSY: it refuses
 * at present (503); -EMSGSIZE: more than 256 MiB; -ENOMEM; and what connect,
 * send and recv give.
 */
int get_status(const char *address, int64_t deadline,
	       struct status_text *status);

/**
 * wait_status - the same, once the epoch is another than @seen
 *
 * Errors: -ETIMEDOUT: it still was at the deadline; as get_status.
 */
int wait_status(const char *address, uint64_t seen, int64_t deadline,
		struct status_text *status);

#endif
