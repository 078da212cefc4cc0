/* SPDX-License-Identifier: MIT */
/* arc_rules: types, names, time and steps, the same for both builds. */
#include "arc_rules.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static bool is_sound_event(const struct fh_arc_type *type,
			   const struct fh_arc_event *event)
{
	if (!event->name || !*event->name)
		return false;
	return event->next == FH_ARC_STAY || event->next < type->phases;
}

static bool is_sound(const struct fh_arc_type *type)
{
	if (type->phases == 0 || type->phases > FH_ARC_PHASES)
		return false;
	if (type->initial >= type->phases || !type->allowed)
		return false;
	if (type->event_count && !type->events)
		return false;
	for (size_t i = 0; i < type->event_count; i++)
		if (!is_sound_event(type, &type->events[i]))
			return false;
	return true;
}

int fh_arc_check_types(const struct fh_arcs_options *options)
{
	if (!options || (options->type_count && !options->types))
		return -EINVAL;
	for (size_t i = 0; i < options->type_count; i++)
		if (!is_sound(&options->types[i]))
			return -EINVAL;
	return 0;
}

int fh_arc_order(const char **first, const char **second)
{
	const char *swap;
	int order;

	if (!*first || !*second || !**first || !**second)
		return -EINVAL;
	order = strcmp(*first, *second);
	if (order == 0)
		return -EINVAL;
	if (order > 0) {
		swap = *first;
		*first = *second;
		*second = swap;
	}
	return 0;
}

int64_t fh_arc_clock(const struct fh_arcs_options *options)
{
	struct timespec now;

	if (options->clock)
		return options->clock(options->clock_arg);
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Written so that neither the age nor its double can overflow. */
bool fh_arc_is_expired(const struct fh_arc_info *info, int64_t now)
{
	int64_t age;

	if (info->duration <= 0 || now <= info->start_time)
		return false;
	if (__builtin_sub_overflow(now, info->start_time, &age))
		return true;
	return age - info->duration > info->duration;
}

static const struct fh_arc_event *by_name(const struct fh_arc_type *type,
					  const char *name)
{
	for (size_t i = 0; i < type->event_count; i++)
		if (strcmp(type->events[i].name, name) == 0)
			return &type->events[i];
	return NULL;
}

static const struct fh_arc_event *by_phase(const struct fh_arc_type *type,
					   unsigned phase)
{
	for (size_t i = 0; i < type->event_count; i++)
		if (type->events[i].phases >> phase & 1)
			return &type->events[i];
	return NULL;
}

static bool may_follow(const struct fh_arc_type *type, unsigned phase,
		       unsigned next)
{
	if (next >= type->phases)
		return false;
	return next == phase || type->allowed[phase] >> next & 1;
}

int fh_arc_choose(const struct fh_arc_type *type,
		  const struct fh_arc_info *info,
		  const struct fh_arc_step *step,
		  const struct fh_arc_event **event, unsigned *next)
{
	if (step && step->event)
		*event = by_name(type, step->event);
	else
		*event = by_phase(type, info->phase);
	if (!*event)
		return step && step->event ? -EINVAL : -ENOMSG;
	*next = (*event)->next;
	if (step && step->derive)
		*next = step->derive(info, *event, step->derive_arg);
	if (*next == FH_ARC_STAY)
		*next = info->phase;
	return may_follow(type, info->phase, *next) ? 0 : -EPERM;
}

bool fh_arc_is_final(const struct fh_arc_type *type, unsigned phase)
{
	return type->final >> phase & 1;
}
