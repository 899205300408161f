/* SPDX-License-Identifier: BSD-3-Clause */
/* The groups of check_modes. */
#ifndef HARNESS_CHECK_MODES_H
#define HARNESS_CHECK_MODES_H

#include "modes.h"

TCase *check_modes_serve(void);
TCase *check_modes_share(void);
TCase *check_modes_start(void);
TCase *check_modes_rights(void);

#endif
