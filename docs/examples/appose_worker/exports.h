/* SPDX-License-Identifier: MIT */
/*
 * exports: what tasks leave for later ones, names and JSON values.
 *
 * All of it is one object that is never changed: an export publishes a new
 * object with the old values and its own.  So a task that takes it once sees
 * exports of others whole or not at all, and taking it is a pointer.
 */
#ifndef EXPORTS_H
#define EXPORTS_H

#include <freehold/record.h>

#include <jansson.h>

/* Zero bytes are none. */
struct exports {
	struct fh_record current;
};

/* Values at one moment, counted. */
struct exported;

/* The present ones; NULL: there are none yet. */
struct exported *exports_get(struct exports *exports);

/* An object, to be read only; NULL for NULL. */
json_t *exported_values(const struct exported *exported);

/* NULL does nothing. */
void exported_release(struct exported *exported);

/*
 * Add copies of an object's members; one that is null is taken out.
 * 0, -ENOMEM, or -EAGAIN: the hard bound of fh_rcu.
 */
int exports_add(struct exports *exports, json_t *values);

/* Nobody may touch them any more. */
void exports_destroy(struct exports *exports);

#endif
