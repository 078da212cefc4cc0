/* SPDX-License-Identifier: MIT */
/*
 * What the library finds in place of liburcu when it is built for the
 * machine: the part of the interface that rcu_flavour.h uses, on the model in
 * urcu_model.c.  Others look at a reader's word by atomic loads here, so that
 * the machine sees them.
 */
#ifndef FH_SCHEDULE_URCU_MEMB_H
#define FH_SCHEDULE_URCU_MEMB_H

struct cds_list_head {
	struct cds_list_head *next, *prev;
};

/* As liburcu's: the depth in the lower half, a bit that says since when. */
struct urcu_reader {
	unsigned long ctr;
	struct cds_list_head node;
};

struct urcu_gp {
	unsigned long ctr;
};

#define URCU_GP_COUNT 1ul
#define URCU_GP_CTR_PHASE (1ul << 32)
#define URCU_GP_CTR_NEST_MASK (URCU_GP_CTR_PHASE - 1)

extern struct urcu_gp urcu_memb_gp;
extern int urcu_memb_has_sys_membarrier;

/* Thread-local variables are functions. */
struct urcu_reader *urcu_memb_reader(void);
#define URCU_TLS(name) (*name())

#define CMM_LOAD_SHARED(word) __atomic_load_n(&(word), __ATOMIC_RELAXED)

void urcu_memb_register_thread(void);
void urcu_memb_unregister_thread(void);
void urcu_memb_read_lock(void);
void urcu_memb_read_unlock(void);
int urcu_memb_read_ongoing(void);
void urcu_memb_synchronize_rcu(void);
void cds_list_del(struct cds_list_head *node);

#endif
