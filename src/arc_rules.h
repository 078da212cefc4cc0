/* SPDX-License-Identifier: MIT */
/*
 * arc_rules: what both builds of the arc registry agree on.  Internal.
 *
 * Pure functions of the caller's tables; no shared state.  Besides what the
 * functions decide, both builds keep to this:
 *
 *  - A pair that fh_arc_order refuses is -EINVAL for every function.
 *  - start_time is the clock at the claim; last_progress begins equal to it.
 *  - -ETIME is looked for before the step is chosen.
 *  - A step into a final phase is one change with two notices, in this
 *    order: FH_ARC_PROGRESSED, then FH_ARC_ENDED with a NULL reason; both
 *    show the arc as FH_ARC_COMPLETED.
 *  - fh_arc_process_all ends with a NULL reason.  An arc that expires
 *    between policy and step is ended as expired; one that somebody else
 *    ends meanwhile is not counted at all.
 *  - Only -EEXIST and -EINPROGRESS count as refused; a join does not.
 *  - An observer that is registered during a notification is not called by
 *    it.
 */
#ifndef FH_ARC_RULES_H
#define FH_ARC_RULES_H

#include <freehold/arc.h>

#include <stdbool.h>

/* Do the tables make sense?  0, or -EINVAL. */
int fh_arc_check_types(const struct fh_arcs_options *options);

/*
 * Swap the names into byte order; -EINVAL if one is NULL or empty, or both
 * are equal.
 */
int fh_arc_order(const char **first, const char **second);

/* The present time of a registry with these options. */
int64_t fh_arc_clock(const struct fh_arcs_options *options);

/* Is the arc older at @now than twice its duration?  Duration 0: never. */
bool fh_arc_is_expired(const struct fh_arc_info *info, int64_t now);

/*
 * Which event would happen, and which phase it leads to; calls the derive
 * function of the step, if any.  @step may be NULL.  0; -ENOMSG: no event is
 * available; -EINVAL: no such event; -EPERM: the phase may not follow.
 */
int fh_arc_choose(const struct fh_arc_type *type,
		  const struct fh_arc_info *info,
		  const struct fh_arc_step *step,
		  const struct fh_arc_event **event, unsigned *next);

/* Does this phase end an arc of this type? */
bool fh_arc_is_final(const struct fh_arc_type *type, unsigned phase);

#endif
