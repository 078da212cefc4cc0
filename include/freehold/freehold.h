/* SPDX-License-Identifier: MIT */
/* All of Freehold; each header can also be included by itself. */
#ifndef FREEHOLD_FREEHOLD_H
#define FREEHOLD_FREEHOLD_H

#include <freehold/arc.h>
#include <freehold/base.h>
#include <freehold/counter.h>
#include <freehold/gate.h>
#include <freehold/log.h>
#include <freehold/map.h>
#include <freehold/rcu.h>
#include <freehold/record.h>
#include <freehold/server.h>
#include <freehold/status.h>
#include <freehold/task.h>

#endif
