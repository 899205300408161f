/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * liar - the lies that a hostile worker tells: for tests/harness/liar.c, which tells them, and check_restart_liar.c,
 * which listens.
 */
#ifndef HARNESS_LIAR_H
#define HARNESS_LIAR_H

/* clang-format off */
#define LIES(X) \
	X(NONE) \
	X(TAG) X(TAG_OTHER) X(UNKNOWN_OP) X(OTHER_OP) \
	X(LEN_LONG) X(LEN_HUGE) X(LEN_ZERO) X(LEN_ODD) \
	X(ERROR_POSITIVE) X(ERROR_HUGE) X(ERROR_BODY) X(NAMES) X(X) \
	X(FD_FLAG) X(FLAGS) X(FD_UNASKED) X(FDS_MANY) \
	X(BATCH_LEN) X(BATCH_COUNT) X(BATCH_EMPTY) X(SHORT) X(JUNK) X(TWICE) X(FLOOD) \
	X(MAIL) X(MAIL_SENT) X(MAIL_LEN) X(MAIL_JUNK) X(MAIL_TWICE) X(MAIL_LETTERS) X(MAIL_BELLS) X(HANG_UP) X(EXIT) X(ABORT) \
	X(CTL_DONE) X(CTL_OP) X(CTL_LEN) X(CTL_RESUMED) X(CTL_FD) \
	/* From here on the root's attributes are true, and the lie comes later. */ \
	X(FD_DIRECTORY) X(FD_DEVICE) X(FD_ZERO) X(FD_PIPE) X(FD_SOCKET) X(FD_PATH) X(FD_READ_ONLY) X(FD_LANE) X(FD_MEMFD) \
	X(NODE_ZERO) X(NODE_ROOT) X(NODE_HUGE) X(ENTRY_FLAGS) X(MODE) \
	X(COUNT) X(COUNT_ONE) X(ARENA) \
	X(LIST_RANDOM) X(LIST_LONG_NAME) X(LIST_EMPTY_NAME) X(LIST_SLASH) X(LIST_NUL) X(LIST_END) X(LIST_CUT) X(LIST_COUNT)
/* clang-format on */

enum lie {
#define X(NAME) LIE_##NAME,
	LIES(X)
#undef X
	LIE_END
};

#define LIE_CTL_FIRST LIE_CTL_DONE
#define LIE_CTL_LAST LIE_CTL_FD
#define LIE_FD_FIRST LIE_FD_DIRECTORY
#define LIE_FD_LAST LIE_FD_MEMFD

#endif
