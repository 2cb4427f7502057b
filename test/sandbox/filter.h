/* See LICENSE file for copyright and licence details. */
/* What a seccomp filter says about a system call: the few instructions that ours has. */
#ifndef FILTER_H
#define FILTER_H

#include <stdint.h>
#include <string.h>

#include "lib/sandbox.h"

/* What the kernel shows to a filter. */
struct filter_call {
	int32_t nr;
	uint32_t arch;
	uint64_t ip, arg[6];
};

/* The action; 0xdead: the filter is broken (the kernel would not take it). */
static inline uint32_t
filter_run(const struct sandbox_op *op, int n, const struct filter_call *c)
{
	uint32_t a = 0;
	int i;

	for (i = 0; i >= 0 && i < n; i++) {
		switch (op[i].code) {
		case 0x20:
			if (op[i].k % 4 || op[i].k > sizeof(*c) - 4)
				return 0xdead;
			memcpy(&a, (const char *)c + op[i].k, sizeof(a));
			break;
		case 0x54:
			a &= op[i].k;
			break;
		case 0x15:
			i += a == op[i].k ? op[i].yes : op[i].no;
			break;
		case 0x06:
			return op[i].k;
		default:
			return 0xdead;
		}
	}
	return 0xdead;
}

#endif
