/* SPDX-License-Identifier: MIT */
/* gate_options: limits, and the attributes of a gate's threads. */
#include "gate_options.h"

#include <errno.h>

int fh_gate_attributes(const struct fh_gate_options *options,
		       pthread_attr_t *attributes)
{
	if (!options || options->limit == 0 ||
	    options->limit > FH_GATE_LIMIT || options->idle < 0)
		return -EINVAL;
	if (pthread_attr_init(attributes))
		return -ENOMEM;
	/* Detached: nobody has to wait for a thread to collect it. */
	pthread_attr_setdetachstate(attributes, PTHREAD_CREATE_DETACHED);
	if (options->stack_size &&
	    pthread_attr_setstacksize(attributes, options->stack_size)) {
		pthread_attr_destroy(attributes);
		return -EINVAL;
	}
	return 0;
}
