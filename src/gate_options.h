/* SPDX-License-Identifier: MIT */
/* gate_options: what the gate of either build makes of its options. */
#ifndef FH_GATE_OPTIONS_H
#define FH_GATE_OPTIONS_H

#include <freehold/gate.h>

#include <pthread.h>

/*
 * Check the options, and make the attributes of the gate's threads, which
 * are for pthread_attr_destroy.  0, -EINVAL or -ENOMEM.
 */
int fh_gate_attributes(const struct fh_gate_options *options,
		       pthread_attr_t *attributes);

#endif
