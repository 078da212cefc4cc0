# SPDX-License-Identifier: MIT
"""The mutants: what is broken on purpose, room by room.

test/mutant.py says how a row is written, test/run_mutants.py what is done
with it.  A room that comes later brings a table of its own.
"""

import mutants_arc
import mutants_cells
import mutants_faults
import mutants_gate
import mutants_log
import mutants_map
import mutants_order
import mutants_rcu
import mutants_server
import mutants_task

MUTANTS = [*mutants_cells.MUTANTS, *mutants_rcu.MUTANTS,
           *mutants_map.MUTANTS, *mutants_arc.MUTANTS,
           *mutants_log.MUTANTS, *mutants_gate.MUTANTS,
           *mutants_server.MUTANTS, *mutants_task.MUTANTS,
           *mutants_order.MUTANTS, *mutants_faults.MUTANTS]
