#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes build.ninja, which builds, tests, compares and installs Freehold.

It reads in the order of the file that it writes: the tables of what there is,
the few words that write Ninja's language, then rules, libraries, programs and
targets.  To add a source, a test or a benchmark, add its name to a table.

What it writes depends on its arguments alone and never on the machine: the
committed build.ninja is what it writes without any.  What the machine lacks is
found when it is needed, by the `check` rule, and told in one line.
"""

import argparse
import collections
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap

# ---------------------------------------------------------------- the tables

# Sources, by bare name: src/NAME.c
shared = '''
    base wait rcu batch reclaim worker hash arc_rules
    log_message gate_options task_rules
    server_rules server_step server_job server_start server_stop server_view
    server_thread server_watch
'''.split()
lock_free = '''
    build counter status record map map_lookup map_log map_life map_table
    map_migrate
    arc arc_start arc_step arc_walk observers
    log gate gate_run
    task task_state task_queue task_thread task_pool task_main task_wait
    task_submit task_life
    server server_life server_lease
'''.split()
mutex = '''
    build lock counter status record table map map_walk
    arc arc_start arc_walk arc_observers
    log gate
    task task_state task_thread task_submit task_life
    server server_life server_lease
'''.split()
libraries = {
    'freehold': shared + lock_free,
    'freehold-mutex': shared + ['mutex/' + name for name in mutex],
}

# What a program that links them is compiled with.
library_flags = {'freehold': '', 'freehold-mutex': '-DFREEHOLD_MUTEX'}

# Headers to install, by bare name: include/freehold/NAME.h
headers = '''
    arc base counter freehold gate inline log map rcu record server status
    task
'''.split()

# Tests, by bare name: test/test_NAME.c, or test/test_NAME if it has a dot.
tests = '''
    base counter status status_calls status_wait record
    rcu rcu_bounds rcu_fork rcu_stats rcu_edges rcu_room rcu_unhooked
    map map_model map_lookup map_walk map_grow map_oom map_full map_race
    arc arc_start arc_walk arc_observe arc_haul arc_brawl arc_race arc_oom
    log log_crowd log_race gate gate_run gate_race gate_fault
    task task_end task_wait task_thread task_main task_shutdown task_race
    task_brawl task_oom
    server server_fail server_wait server_watch server_race server_oom
    server_fork server_rules server_haul
    gap_cells gap_rcu gap_unhooked gap_room gap_map gap_memory gap_arc
    gap_haul
    history_checker history_map history_status history_record history_arc
    history_counter history_log history_gate history_task history_server
    fault_clock fault_collide fault_create fault_crowd fault_exit fault_fork
    fault_futex fault_handler fault_memory fault_reader fault_signal
    fault_writer fault_sleep fault_system
    oom include.cc
'''.split()

# Of these, the ones that make sense for the lock-free build alone.
lock_free_tests = '''
    map_full arc_haul server_haul gap_cells gap_map gap_room gap_memory
    gap_haul fault_writer fault_handler
'''.split()

# The ones that never reach the table: a build of it without tags runs the
# others.
tableless_tests = '''
    base counter status status_calls status_wait record
    rcu rcu_fork rcu_stats rcu_edges rcu_unhooked
    log log_crowd log_race gate gate_run gate_race gate_fault
    gap_cells gap_rcu gap_unhooked
    history_checker history_status history_record history_counter history_log
    history_gate fault_create fault_sleep include.cc
'''.split()

# Functions of the C library that a test replaces by its own.
allocation = 'malloc calloc aligned_alloc posix_memalign mmap'
waiting = 'syscall pthread_cond_wait pthread_cond_clockwait'
replaced = {
    'oom': allocation + ' pthread_create',
    'map_oom': allocation + ' pthread_create',
    'arc_oom': allocation + ' pthread_create',
    'server_oom': allocation + ' pthread_create',
    'task_oom': allocation + ' pthread_create',
    'gap_memory': allocation + ' pthread_create',
    'rcu_unhooked': 'pthread_setspecific',
    'gap_unhooked': 'pthread_setspecific',
    'fault_clock': waiting + ' pthread_cond_timedwait clock_gettime '
                   'gettimeofday time pthread_clockjoin_np',
    'fault_futex': waiting + ' epoll_wait',
    'fault_sleep': waiting,
    'fault_system': 'getrandom epoll_create1 eventfd epoll_ctl fcntl',
    'gate_fault': allocation + ' pthread_create',
    'fault_create': 'pthread_create',
    'fault_memory': allocation,
}
ldflags = {test: ' '.join('-Wl,--wrap=' + name for name in names.split())
           for test, names in replaced.items()}

# Tests that are scripts: test/NAME
scripts = '''
    check_sources.py check_headers.py check_build.py check_install.sh
    check_docs.py check_schedules.py check_soak.py
    check_lsp_manager.py
    run_mutants.py run_builds.py
    check_appose_worker.py
    check_status_server.py check_bridge.py run_server_mutants.py
'''.split()

# The soak, one program: soak/NAME.c
soak = '''
    soak crew report verdict
    room_rcu room_status room_record room_counter room_map room_arc
    room_log room_gate room_server room_task room_signal room_fork
'''.split()

# Benchmarks, by bare name: bench/bench_NAME.c, and the sources they share.
benches = 'status map arc rcu log gate server task'.split()
bench_shared = 'bench serve draw histogram memory subject'.split()

# Programs that measure the same with what others wrote: build/peers/NAME is
# made of bench/SOURCE if the compiler finds the header.
Peer = collections.namedtuple('Peer', 'name source libs header package')
urcu = ('urcu/urcu-memb.h', 'liburcu-dev')
peers = [
    Peer('map_open', 'table_open.c', '', 'pthread.h', 'libc6-dev'),
    Peer('map_rwlock', 'table_rwlock.c', '', 'pthread.h', 'libc6-dev'),
    Peer('map_lfht', 'table_lfht.c',
         '-lurcu-cds -lurcu-memb -lurcu-common', *urcu),
    Peer('map_ck', 'table_ck.c', '-lck', 'ck_ht.h', 'libck-dev'),
    Peer('map_tbb', 'table_tbb.cc', '-ltbb', 'tbb/concurrent_hash_map.h',
         'libtbb-dev'),
    Peer('map_cuckoo', 'table_cuckoo.cc', '',
         'libcuckoo/cuckoohash_map.hh', 'libcuckoo-dev'),
    Peer('map_boost', 'table_boost.cc', '',
         'boost/unordered/concurrent_flat_map.hpp',
         'libboost-dev, from version 1.83 on'),
    Peer('rcu_call_rcu', 'rcu_call_rcu.c', '-lurcu-memb -lurcu-common',
         *urcu),
]

# The programs of docs/examples: docs/examples/NAME/SOURCE.c, or from the root
# on if it has a slash, for each of these variants; a page goes in as it is.
# Headers that they need, and the packages that have them.
Example = collections.namedtuple('Example', 'name sources libs needs')
example_variants = 'release asan tsan mutex mutex-asan mutex-tsan'.split()
lsp_sources = '''
    documents service lsp mail talk pump child frame text uri errors
'''
lsp_manager = ''.join(f' docs/examples/lsp_manager/{source}'
                      for source in lsp_sources.split())
lsp_needs = {'jansson.h': 'libjansson-dev'}
http = ''.join(f' docs/examples/http/{source}' for source in
               'server keeper listen park refuse reply number program'.split())
http_needs = {'microhttpd.h': 'libmicrohttpd-dev'}
status_server = ''.join(
    f' docs/examples/status_server/{source}'
    for source in 'board server metrics get_status'.split())
examples = [
    Example('appose_worker', 'main options lines request memory text response '
            'outlet exports job convert script script_library script_task',
            '-ljansson -llua5.4 -lm', {'jansson.h': 'libjansson-dev',
                                       'lua5.4/lua.h': 'liblua5.4-dev'}),
    Example('lsp_manager', 'main options line commands reply query'
            + lsp_sources, '-ljansson', lsp_needs),
    Example('lsp_stress', 'test/lsp_stress test/lsp_checks test/lsp_naive'
            + lsp_manager, '-ljansson', lsp_needs),
    Example('lsp_frames', 'test/lsp_frames docs/examples/lsp_manager/frame',
            '', {}),
    Example('lsp_fake', 'test/lsp_fake', '-ljansson', lsp_needs),
    Example('lsp_faults', 'test/lsp_faults docs/examples/lsp_manager/query'
            + lsp_manager, '-ljansson' + ''.join(
                f' -Wl,--wrap={name}' for name in
                'malloc calloc realloc strdup pipe2 eventfd pidfd_open '
                'posix_spawnp pthread_create'.split()), lsp_needs),
    Example('status_server', 'main chaos' + status_server + http,
            '-lmicrohttpd', http_needs),
    Example('status_client',
            'docs/examples/status_server/client docs/examples/http/number '
            'docs/examples/status_server/get_status', '', {}),
    Example('bridge', 'main bridge chat views serve registry rate mailbox '
            'backend page.html' + http, '-lmicrohttpd -ljansson',
            dict(http_needs, **{'jansson.h': 'libjansson-dev'})),
    Example('constant_server', 'test/fixtures/constant_server '
            'docs/examples/http/number docs/examples/http/program',
            '-lmicrohttpd', http_needs),
    Example('status_torture',
            'test/fixtures/status_torture' + status_server + http,
            '-lmicrohttpd', http_needs),
]

# Fuzz targets, test/fuzz/fuzz_NAME.c, with these sources of an example; a
# test feeds each its corpus.  test/fuzz/run_fuzz.py looks for more.
Fuzz = collections.namedtuple('Fuzz', 'name example sources libs')
fuzz_variants = 'release asan'.split()
fuzz_targets = [
    Fuzz('appose_line', 'appose_worker',
         'lines request memory text response convert',
         '-ljansson -llua5.4 -lm'),
    Fuzz('lsp_message', 'lsp_manager', 'frame talk text', '-ljansson'),
]

# Libraries may go into a shared object, and still inline their own functions.
relocatable = '-fPIC -fno-semantic-interposition'
warnings = '-Wall -Wextra -Wundef'
c_warnings = ('-Wshadow -Wstrict-prototypes -Wmissing-prototypes '
              '-Werror=implicit-function-declaration')
asan = ('-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined '
        '-fno-sanitize-recover=all')
tsan = '-O1 -g -fno-omit-frame-pointer -fsanitize=thread -Wno-tsan'

# Variants of the build, each in build/NAME.
class Variant(collections.namedtuple('_', 'name library compiler flags')):
    """One way to compile a library, and programs with it."""

    def at(self, name):
        return f'build/{self.name}/{name}'

    def how(self, rule_name):
        return f'{rule_name}.{self.name.replace("/", ".")}'

    archive = property(lambda self: self.at(f'lib{self.library}.a'))
    checked = property(lambda self: self.at('checked'))


variants = [
    Variant('release', 'freehold', '$cc', '-O2 -g'),
    Variant('debug', 'freehold', '$cc', '-O0 -g3 -DFH_DEBUG'),
    Variant('asan', 'freehold', '$cc', asan),
    Variant('tsan', 'freehold', '$cc', tsan),
    Variant('clang', 'freehold', 'clang', '-O2 -g'),
    Variant('no-tags', 'freehold', '$cc', '-O2 -g -DFH_MAP_TAGS=0'),
    Variant('mutex', 'freehold-mutex', '$cc', '-O2 -g'),
    Variant('mutex-asan', 'freehold-mutex', '$cc', asan),
    Variant('mutex-tsan', 'freehold-mutex', '$cc', tsan),
]

# The build for tests that stop threads inside the library, and these tests.
hooks = Variant('hooks', 'freehold', '$cc', '-O2 -g -DFH_HOOKS '
                '-DFH_MAP_TAGS=0')
hook_tests = ['rules', 'stalls']

# Schedules: test/schedule/schedule_NAME.c, run by the machine beside them in
# every order.  Those of the rcu room, and what needs threads that end, run on
# a model of liburcu and threads, the others on a model of that room; those of
# tasks also on one of counters.
scheduled = ('-O1 -g -fsanitize=thread -femulated-tls -fno-builtin '
             '-DFH_HOOKS -Itest/schedule')
schedule = Variant('schedule', 'freehold', 'clang',
                   scheduled + ' -DFH_MAP_TAGS=0')
# With tags, for the short ways of readers; without, every entry is looked at.
schedule_tags = Variant('schedule-tags', 'freehold', 'clang', scheduled)
tag_schedules = 'map map_grow map_shrink map_walk'.split()
schedules = '''
    machine machine_faults wait status record counter
    map map_grow map_shrink map_log map_walk
    arc arc_steps arc_observers
    log server server_all server_three task_queue
'''.split()
task_schedules = 'task task_pairs task_death task_pool task_order'.split()
rcu_schedules = 'machine_ends rcu rcu_drain rcu_bounds gate gate_run'.split()
machine = '''
    explore search account threads ends memory races heap grace history
    entry script
'''.split()

# ------------------------------------------------------------- the arguments

parser = argparse.ArgumentParser(
    formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    description='Write build.ninja.  Then: ninja, ninja test, ninja install.')
parser.add_argument('--prefix', default='/usr/local', metavar='DIR',
                    help='where to install')
parser.add_argument('--cc', default='gcc', help='the C compiler')
parser.add_argument('--rcu', default='memb', help="liburcu's flavour",
                    choices='memb bp mb qsbr'.split())
parser.add_argument('--no-tags', action='store_true',
                    help='build the table without tags in its words')
parser.add_argument('--no-inline', action='store_true',
                    help="call liburcu's read-side functions")
parser.add_argument('--variants', metavar='LIST',
                    default=','.join(v.name for v in variants),
                    help='what to build besides release and mutex')
parser.add_argument('--output', default='build.ninja', metavar='FILE',
                    help='what to write; - is standard output')
parser.add_argument('--check', metavar='VARIANT',
                    help='write nothing; say what this machine lacks for it')
options = parser.parse_args()

root = os.path.dirname(os.path.abspath(__file__))
known = {v.name: v for v in variants}
release, locked = known['release'], known['mutex']
wanted = ['release', 'mutex'] + options.variants.split(',')
for name in set(wanted) - set(known):
    parser.error('--variants: there is no variant ' + name)
variants = [v for v in variants if v.name in wanted]
libs = f'-lurcu-{options.rcu} -lurcu-common -lpthread'

# ---------------------------------------------------- what the machine lacks


def cxx_of(compiler):
    """The C++ compiler that goes with a C compiler."""
    names = {'$cc': '$cxx', 'clang': 'clang++', 'gcc': 'g++', 'cc': 'c++'}
    return re.sub(r'\$cc$|\b(clang|gcc|cc)\b', lambda c: names[c[0]], compiler)


def lack(what, package):
    sys.exit(f'configure.py: {what} is missing; '
             f'on Debian: apt-get install {package}')


def links(compiler, source, flags=''):
    """Does this source compile and link?"""
    with tempfile.TemporaryDirectory() as scratch:
        command = shlex.split(compiler) + ['-x', 'c', '-']
        command += ['-o', scratch + '/a.out'] + flags.split()
        return subprocess.run(command, input=source + '\nint main() {}\n',
                              stderr=subprocess.DEVNULL, text=True,
                              check=False).returncode == 0


def check(variant):
    """Name the first thing that is missing, and the package that has it."""
    compiler = variant.compiler.replace('$cc', options.cc)
    urcu = f'#include <urcu/urcu-{options.rcu}.h>'
    command = shlex.split(compiler)[0]
    if not shutil.which(command):
        lack(f'the compiler {command}', 'clang' if 'clang' in command else
             'g++' if '++' in command else 'gcc')
    if links(compiler, urcu, f'{variant.flags} {libs}'):
        return
    if not links(compiler, '#include <pthread.h>'):
        lack('the C library for development', 'libc6-dev')
    if not links(compiler, urcu, libs):
        lack(f'liburcu (its flavour {options.rcu})', 'liburcu-dev')
    lack(f'what {command} needs for {variant.flags}',
         'libclang-rt-14-dev' if 'clang' in command else 'libgcc-12-dev')


def check_example(example):
    for header, package in example.needs.items():
        if not links(options.cc, f'#include <{header}>'):
            lack(f'<{header}>, which {example.name} needs,', package)


known['schedule'] = known['clang']
known['cxx'] = cxx = Variant('cxx', 'freehold', cxx_of(options.cc), '')
if options.check:
    for example in examples:
        if options.check == example.name:
            check_example(example)
    check(known.get(options.check, release))
    sys.exit()

# ------------------------------------------------------- the words of Ninja

lines = []


def write(text, indent=''):
    """One logical line, continued as Ninja wants it."""
    lines.append(' $\n'.join(textwrap.wrap(
        text, 78, initial_indent=indent, subsequent_indent=indent + '    ',
        break_long_words=False, break_on_hyphens=False)))


def comment(text):
    lines.append('')
    lines.extend('# ' + line for line in textwrap.wrap(text, 76))


def variable(name, value, indent=''):
    write(f'{name} = {value}', indent)


def rule(name, command, **more):
    shown = name.split('.')[0].upper() + ' $out'
    lines.extend(['', f'rule {name}'])
    for key, value in dict(command=command, description=shown, **more).items():
        variable(key, value, '  ')
    lines.append('')


def build(out, how, inputs=(), implicit=(), order_only=(), **more):
    for mark, files in ('|', implicit), ('||', order_only):
        inputs = [*inputs, *([mark, *files] if files else [])]
    write(' '.join([f'build {out}: {how}', *inputs]))
    for key, value in more.items():
        if value:
            variable(key, value, '  ')
    return out


def run(name, command, needs):
    """A name for the command line that runs something, every time."""
    build(name, 'phony', [build(f'build/{name}.run', 'run', implicit=[needs],
                                command=command)])


# ------------------------------------------------------------ the file opens

with open(os.path.join(root, 'include/freehold/base.h')) as base:
    version, = re.findall(r'FH_VERSION "(.*)"', base.read())

given = [f'--{name.replace("_", "-")}={value}'.replace('=True', '')
         for name, value in vars(options).items()
         if value not in ('-', parser.get_default(name))]

lines += ['# SPDX-License-Identifier: MIT',
          '# Builds Freehold.  Written by configure.py: change that.', '']
variable('builddir', 'build')
comment('What configure.py was called with, to call it again.')
variable('configure_args', shlex.join(given))

variable('cc', options.cc)
variable('cxx', cxx_of(options.cc))
variable('prefix', options.prefix)
variable('version', version)
variable('warnings', warnings)
variable('c_warnings', c_warnings)
variable('flags', '-D_GNU_SOURCE -Iinclude -Isrc -DFH_RCU_FLAVOUR_'
         + options.rcu + (' -DFH_MAP_TAGS=0' if options.no_tags else '')
         + (' -DFH_RCU_NO_INLINE' if options.no_inline else ''))
variable('libs', libs)

# ----------------------------------------------------------------- the rules

comment('This file follows configure.py.')
rule('configure', 'python3 configure.py $configure_args', generator='1')
build('build.ninja' if options.output == '-' else options.output, 'configure',
      ['configure.py', 'include/freehold/base.h'])

comment('What the machine lacks for a variant is told before it is built.')
rule('check', 'python3 configure.py $configure_args --check $variant && '
     'touch $out')
rule('ar', 'rm -f $out && ar crs $out $in')
rule('list', 'cp $out.rsp $out', rspfile='$out.rsp',
     rspfile_content='$in_newline')


def rules(variant, then=''):
    """How this variant compiles and links, once the machine is checked;
    then: what is done with an object."""
    flags = ' '.join(f'$warnings $flags {variant.flags} '
                     f'{library_flags[variant.library]} '
                     '-MMD -MT $out -MF $out.d'.split())
    c = f'{variant.compiler} -std=gnu11 $c_warnings {flags}'
    deps = dict(depfile='$out.d', deps='gcc')
    rule(variant.how('cc'), f'{c} {relocatable} -c -o $out $in{then}', **deps)
    rule(variant.how('program.c'), f'{c} -o $out $in $ldflags $libs', **deps)
    rule(variant.how('link'),
         f'{variant.compiler} {variant.flags} -o $out $in $libs'.strip())
    rule(variant.how('program.cc'), f'{cxx_of(variant.compiler)} '
         f'-std=c++11 {flags} -o $out $in $libs', **deps)
    build(variant.checked, 'check', variant=variant.name)


def library(variant):
    objects = [build(variant.at(source + '.o'), variant.how('cc'),
                     [f'src/{source}.c'], order_only=[variant.checked])
               for source in libraries[variant.library]]
    return build(variant.archive, 'ar', objects)


def program(variant, source, *others, **more):
    """A program from one source, other objects and the library."""
    name, extension = os.path.splitext(os.path.basename(source))
    checks = [variant.checked]
    if extension == '.cc':
        checks.append(cxx.checked)
    return build(variant.at(name), variant.how('program' + extension),
                 [source, *others, variant.archive], order_only=checks, **more)


def test_program(variant, test):
    source = f'test/test_{test}' + ('' if '.' in test else '.c')
    return program(variant, source, ldflags=ldflags.get(test))


# ------------------------------------------------- the libraries, their tests

programs, bench = [], []
build(cxx.checked, 'check', variant='cxx')
for v in variants:
    comment(f'{v.name}: lib{v.library}.a and its tests.')
    rules(v)
    library(v)
    programs += [test_program(v, test) for test in tests if test not in
                 (lock_free_tests if v.library == 'freehold-mutex' else
                  tableless_tests if v.name == 'no-tags' else [])]

comment('hooks: the library with a hook under every atomic step.')
rules(hooks)
library(hooks)
programs += [test_program(hooks, test) for test in hook_tests]

comment('Schedules: instrumented code, linked with the machine that answers '
        'the instrumentation, and not with what the C library has.')
for v in (schedule, schedule_tags):
    rules(v, ' && objcopy --redefine-syms=test/schedule/redefined $out')
    library(v)
rule('machine', '$cc -std=gnu11 $c_warnings $warnings $flags -O2 -g -fno-pie '
     '-Itest/schedule -MMD -MT $out -MF $out.d -c -o $out $in', depfile='$out.d', deps='gcc')
rule('schedule', '$cc -no-pie -o $out $in')
machine = build(schedule.at('libmachine.a'), 'ar', [
    build(schedule.at(f'machine/{name}.o'), 'machine',
          [f'test/schedule/{name}.c']) for name in machine])
models = {name: build(schedule.at(f'machine/{name}.o'), 'machine',
                      [f'test/schedule/{name}.c'])
          for name in ('rcu_model', 'urcu_model', 'counter_model')}
for v, name in [(schedule, name) for name in
                schedules + task_schedules + rcu_schedules] + [
                    (schedule_tags, name) for name in tag_schedules]:
    scenarios = build(v.at(f'schedule_{name}.o'), v.how('cc'),
                      [f'test/schedule/schedule_{name}.c'],
                      order_only=[v.checked])
    model = [models['urcu_model' if name in rcu_schedules else 'rcu_model']]
    if name in task_schedules:
        model.append(models['counter_model'])
    programs.append(build(v.at(f'schedule_{name}'), 'schedule',
                          [scenarios, *model, v.archive, machine]))

comment('What test/run_mutants.py builds libraries with that are broken on '
        'purpose: words for the build file that it writes.')
libraries_as_words = [
    (name, ' '.join(f'src/{source}.c' for source in sources))
    for name, sources in libraries.items()]
rule('words', "printf '%s\\n' $words > $out")
build('build/mutants.words', 'words', words=' '.join(
    f"'{name} = {value}'" for name, value in [
        ('cc', '$cc'), ('flags', '$flags'), ('libs', '$libs'),
        *libraries_as_words,
        ('lock_free_tests', ' '.join(lock_free_tests)),
        *((f'ldflags_{test}', flags) for test, flags in ldflags.items())]))

comment('The soak.')
soaks = []
for v in (release, locked):
    objects = [build(v.at(f'soak.{name}.o'), v.how('cc'), [f'soak/{name}.c'],
                     order_only=[v.checked]) for name in soak]
    soaks.append(build(v.at('soak'), v.how('link'), [*objects, v.archive],
                       order_only=[v.checked]))

comment('The programs of docs/examples; scripts in test/ drive them.')
rule('embed', 'ld -r -b binary -z noexecstack -o $out $in')
example_programs, example_objects = [], {}
for example in examples:
    there = build(f'build/{example.name}.checked', 'check',
                  variant=example.name)
    for v in variants:
        if v.name not in example_variants:
            continue
        objects = []
        for source in example.sources.split():
            place = source if '/' in source else (
                f'docs/examples/{example.name}/{source}')
            name = source.replace('docs/examples/', '').replace('/', '.')
            if (v, place) not in example_objects:
                example_objects[v, place] = build(
                    v.at(f'{example.name}.{name}.o'), *(
                        ('embed', [place]) if place.endswith('.html') else
                        (v.how('cc'), [place + '.c'])),
                    order_only=[v.checked, there])
            objects.append(example_objects[v, place])
        example_programs.append(
            build(v.at(example.name), v.how('link'), [*objects, v.archive],
                  libs=f'{example.libs} $libs'))

comment('The corpus of each fuzz target, fed to it.')
for v in variants:
    if v.name not in fuzz_variants:
        continue
    replay = build(v.at('fuzz.replay.o'), v.how('cc'),
                   ['test/fuzz/replay.c'], order_only=[v.checked])
    for fuzz in fuzz_targets:
        objects = [build(
            v.at(f'fuzz.fuzz_{fuzz.name}.o'), v.how('cc'),
            [f'test/fuzz/fuzz_{fuzz.name}.c'],
            order_only=[v.checked, f'build/{fuzz.example}.checked'],
            flags=f'$flags -Idocs/examples/{fuzz.example}'), replay]
        objects += [v.at(f'{fuzz.example}.{source}.o')
                    for source in fuzz.sources.split()]
        programs.append(build(v.at(f'replay_{fuzz.name}'), v.how('link'),
                              objects, libs=fuzz.libs))

comment('Benchmarks.')
for v in (release, locked):
    common = build(v.at('libbench.a'), 'ar', [
        build(v.at(f'bench.{name}.o'), v.how('cc'), [f'bench/{name}.c'],
              order_only=[v.checked]) for name in bench_shared])
    bench += [program(v, f'bench/bench_{name}.c', common, ldflags='-lm')
              for name in benches]

comment('The same with what others wrote, as far as it is there.')
for name, how in [
        ('.c', '$cc -std=gnu11 $c_warnings'),
        ('.cc', '$cxx -std=gnu++20 -Wno-missing-field-initializers')]:
    rule('peer' + name, "python3 bench/peer.py $out $header '$package' "
         f'{how} $warnings $flags -O2 -g -DNDEBUG -MMD -MT $out -MF $out.d '
         '-o $out $in $peer_libs -lpthread -lm', depfile='$out.d', deps='gcc')
others = [build(f'build/peers/{peer.name}',
                'peer' + os.path.splitext(peer.source)[1],
                [f'bench/{peer.source}', release.at('libbench.a'),
                 release.at('hash.o'), release.at('base.o')],
                implicit=['bench/peer.py'],
                header=peer.header, package=peer.package,
                peer_libs=peer.libs) for peer in peers]

# ------------------------------------------------------ what gets installed

comment('What pkg-config reads.')
rule('pc', "sed 's|@prefix@|$prefix|; s|@version@|$version|; "
     "s|@name@|$name|; s|@libs@|$libs|; s|@cflags@|$cflags|' $in > $out")
pcs = [build(f'build/{name}.pc', 'pc', ['freehold.pc.in'], name=name,
             cflags=library_flags[name]) for name in libraries]

installed = [
    ('include/freehold', [f'include/freehold/{h}.h' for h in headers]),
    ('lib', [release.archive, locked.archive]),
    ('lib/pkgconfig', pcs),
]
there = ' '.join(f'{directory}/{os.path.basename(file)}'
                 for directory, files in installed for file in files)

comment('DESTDIR, from the environment, stands before the prefix.')
rule('install', ' && '.join(
    f'install -D -m 644 -t "$$DESTDIR$prefix/{directory}" ' + ' '.join(files)
    for directory, files in installed))
rule('uninstall', f'cd "$$DESTDIR$prefix" && rm -f {there} && '
     '{ [ ! -d include/freehold ] || rmdir include/freehold; }')
build('install', 'install',
      implicit=[file for _, files in installed for file in files])
build('uninstall', 'uninstall')

# -------------------------------------------------- what the user asks for

comment('Tests: everything in the list goes through one runner.')
build('build/tests.list', 'list',
      programs + [f'test/{script}' for script in scripts])
rule('run', '$command', pool='console')
build('tests', 'phony', ['build/tests.list', 'build/mutants.words',
                         'libraries', 'benches', 'examples', 'soaks'])
run('test', 'perl test/run_tests.pl build/tests.list', 'tests')

comment('The long form of the tests; and the soak alone, for an hour.')
build('soaks', 'phony', soaks)
run('prove', 'python3 test/prove.py', 'tests')
run('soak', 'build/release/soak --seconds 3600 --report build/report/soak.md',
    'soaks')

build('examples', 'phony', example_programs)

comment('Comparison and benchmarks of the two libraries.')
build('benches', 'phony', bench)
run('compare', 'python3 bench/compare.py', 'benches')
run('bench', 'python3 bench/compare.py --long', 'benches')
run('flavours', 'python3 bench/flavours.py', 'benches')
build('peers', 'phony', [*others, 'benches'])
run('limits', 'python3 bench/limits.py', 'peers')

comment('What `ninja` alone builds.')
build('libraries', 'phony', [release.archive, locked.archive, *pcs])
lines.append('default libraries benches')

text = re.sub('\n\n+', '\n\n', '\n'.join(lines) + '\n')
if options.output == '-':
    sys.stdout.write(text)
    sys.exit()
with open(os.path.join(root, options.output), 'w', encoding='utf-8') as file:
    file.write(text)
if not shutil.which('ninja'):
    lack('ninja', 'ninja-build')
check(release)
