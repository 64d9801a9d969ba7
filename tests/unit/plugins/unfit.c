/* SPDX-License-Identifier: Apache-2.0 */
#define PLUGIN_PROBE (-ENODEV)
#include "tests/unit/plugins/plugin.h"
