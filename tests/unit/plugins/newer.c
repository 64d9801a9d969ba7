/* SPDX-License-Identifier: Apache-2.0 */
#define PLUGIN_ABI (NACRE_BACKEND_ABI + 1)
#include "tests/unit/plugins/plugin.h"
