/* SPDX-License-Identifier: MIT */
/* gate_options: limits; how a gate's threads are started, and call. */
#include "gate_options.h"

#include <errno.h>

/* Detached: nobody has to wait for a thread to collect it. */
static int attributes_of(const struct fh_gate_options *options,
			 pthread_attr_t *attributes)
{
	if (pthread_attr_init(attributes))
		return -ENOMEM;
	pthread_attr_setdetachstate(attributes, PTHREAD_CREATE_DETACHED);
	if (!options->stack_size ||
	    !pthread_attr_setstacksize(attributes, options->stack_size))
		return 0;
	pthread_attr_destroy(attributes);
	return -EINVAL;
}

int fh_gate_check(const struct fh_gate_options *options)
{
	pthread_attr_t attributes;
	int rc;

	if (!options || options->limit == 0 ||
	    options->limit > FH_GATE_LIMIT || options->idle < 0)
		return -EINVAL;
	rc = attributes_of(options, &attributes);
	if (rc == 0)
		pthread_attr_destroy(&attributes);
	return rc;
}

int fh_gate_start(const struct fh_gate_options *options,
		  void *(*run)(void *), void *arg)
{
	pthread_attr_t attributes;
	pthread_t id;
	int rc;

	if (attributes_of(options, &attributes))
		return -EAGAIN;
	rc = pthread_create(&id, &attributes, run, arg);
	pthread_attr_destroy(&attributes);
	return rc ? -EAGAIN : 0;
}

void fh_gate_call(void (*request)(void *arg), void *arg)
{
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	request(arg);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL);
}
