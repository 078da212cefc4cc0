#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A language server that does what it is told, however wrong.

    fake_server.py [--log FILE] [--once FILE] [--deaf] [METHOD=FAULT...]

It speaks the protocol on its standard input and output, and has one symbol in
each document.  When METHOD arrives it does FAULT instead of answering, see
below; `start=FAULT` comes before anything else.  --log appends a line for
each message that it gets, --once does FAULT only if FILE is not there yet,
and makes it; --deaf ignores SIGTERM.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time

log = None          # descriptor to write to
documents = {}      # text by URI


def raw(data):
    """Write bytes, all of them, at once."""
    while data:
        data = data[os.write(1, data):]


def frame(body, extra=b''):
    return b'Content-Length: %d\r\n%s\r\n' % (len(body), extra) + body


def say(message):
    raw(frame(json.dumps({'jsonrpc': '2.0', **message}).encode()))


def hear():
    """The next message, or None at the end."""
    length = 0
    for line in iter(sys.stdin.buffer.readline, b''):
        if line == b'\r\n':
            return json.loads(sys.stdin.buffer.read(length))
        name, value = line.split(b':')
        if name.lower() == b'content-length':
            length = int(value)
    return None


def note(text):
    if log is not None:
        os.write(log, text.encode() + b'\n')


# ------------------------------------------------------------------- faults


def hang(_):
    """Neither answer nor end, for as long as any test takes."""
    time.sleep(200)


def then_hang(data):
    """Write something that is wrong; what comes of it is not our choice."""
    def fault(_):
        raw(data)
        hang(None)
    return fault


def answered(**fields):
    """An answer, of this shape."""
    def fault(message):
        say({'id': message['id'], **fields})
    return fault


def cut(_):
    """A message that ends in the middle, with its server."""
    raw(b'Content-Length: 100\r\n\r\n{"jsonrpc"')
    os._exit(0)


def cut_header(_):
    """The same, within the header."""
    raw(b'Content-Le')
    os._exit(0)


def crash(_):
    """End by a signal, after some words."""
    os.write(2, b'first words\nlast words\n')
    os.kill(os.getpid(), signal.SIGKILL)


def leave(_):
    """End with a status."""
    os._exit(3)


def shut(_):
    """Close the output, and go on."""
    os.close(1)
    hang(None)


def child(_):
    """End, and leave a process behind that holds all descriptors."""
    subprocess.Popen(['sleep', '200'])
    os._exit(4)


def flood(message):
    """Write to standard error without end, and work nevertheless."""
    def pour():
        while True:
            os.write(2, b'noise ' * 10000)
    threading.Thread(target=pour, daemon=True).start()
    answer(message)


def ask(message):
    """Ask the client for this and that, in odd pieces, then answer."""
    questions = [('workspace/configuration', {'items': [{}, {}]}),
                 ('window/workDoneProgress/create', {'token': 1}),
                 ('workspace/applyEdit', {'edit': {}}),
                 ('client/registerCapability', {'registrations': []}),
                 ('no/such/method', {})]
    for number, (method, params) in enumerate(questions):
        data = frame(json.dumps({'jsonrpc': '2.0', 'id': f'q{number}',
                                 'method': method,
                                 'params': params}).encode(),
                     b'Content-Type: x; charset=utf8\r\nX-Any: thing\r\n')
        for at in range(0, len(data), 7):
            raw(data[at:at + 7])
        got = hear()
        note(json.dumps([got['id'], got.get('result'),
                         got.get('error', {}).get('code')]))
    answer(message)


def large(message):
    """An answer of ten thousand symbols."""
    one = symbol('x' * 100)
    say({'id': message['id'], 'result': [one] * 10000})


def late(message):
    """An answer after its time, and then the next ones in time."""
    time.sleep(1)
    answer(message)


LONG_HEADER = b''.join(b'X-%d: x\r\n' % n for n in range(40))
FAULTS = {
    'hang': hang, 'cut': cut, 'cut-header': cut_header, 'crash': crash,
    'leave': leave, 'shut': shut, 'child': child, 'flood': flood, 'ask': ask,
    'large': large, 'late': late,
    'huge': then_hang(b'Content-Length: 99999999999999999999999\r\n\r\n{'),
    'over': then_hang(b'Content-Length: 10485761\r\n\r\n{'),
    'claim': then_hang(b'Content-Length: 1073741824\r\n\r\n{'),
    'negative': then_hang(b'Content-Length: -1\r\n\r\n{}'),
    'none': then_hang(b'Content-Type: text\r\n\r\n{}'),
    'nothing': then_hang(b'\r\n{}'),
    'word': then_hang(b'Content-Length: many\r\n\r\n{}'),
    'empty-number': then_hang(b'Content-Length:\r\n\r\n{}'),
    'twice': then_hang(b'Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}'),
    'lines': then_hang(LONG_HEADER + b'Content-Length: 2\r\n\r\n{}'),
    'long-line': then_hang(b'X: ' + b'x' * 5000),
    'no-colon': then_hang(b'hello world\r\n\r\n'),
    'no-return': then_hang(b'Content-Length: 2\n\n{}'),
    'zero-byte': then_hang(b'Content\0-Length: 2\r\n\r\n{}'),
    'space': then_hang(b'Content-Length : 2\r\n\r\n{}'),
    'charset': then_hang(b'Content-Type: a; charset=utf-16\r\n'
                         b'Content-Length: 2\r\n\r\n{}'),
    'not-json': then_hang(frame(b'hello')),
    'empty': then_hang(frame(b'')),
    'not-utf8': then_hang(frame(b'{"a":"\xff"}')),
    'number': then_hang(frame(b'5')),
    'array': then_hang(frame(b'[]')),
    'object': then_hang(frame(b'{}')),
    'stranger': then_hang(frame(b'{"jsonrpc":"2.0","id":77,"result":1}')),
    'deep': then_hang(frame(b'[' * 100000)),
    'stall': then_hang(b'Content-Length: 100\r\n\r\n{"jsonrpc"'),
    'error': answered(error={'code': -32099, 'message': 'not\ntoday'}),
    'neither': answered(),
    'odd-result': answered(result=5),
}

# ------------------------------------------------------------------ the server


def symbol(name):
    start = {'line': 2, 'character': 4}
    place = {'start': start, 'end': start}
    return {'name': name, 'detail': 'int (void)', 'kind': 12, 'range': place,
            'selectionRange': place,
            'children': [{'name': 'inner', 'kind': 13, 'range': place,
                          'selectionRange': place}]}


def result_of(message):
    """The result of a request; it names the text that we know."""
    if message['method'] == 'initialize':
        return {'capabilities': {}}
    if message['method'] == 'textDocument/documentSymbol':
        uri = message['params']['textDocument']['uri']
        return [symbol(documents[uri].split('\n')[0])]
    return None


def answer(message):
    say({'id': message['id'], 'result': result_of(message)})


def keep_documents(method, params):
    """Follow the client; what it may not do is noted."""
    document = params.get('textDocument', {})
    uri = document.get('uri')
    known = uri in documents
    if method == 'textDocument/didOpen':
        note(f'open {document["version"]}' if not known else 'open again!')
        documents[uri] = document['text']
    elif method == 'textDocument/didChange':
        note(f'change {document["version"]}' if known else 'change what?')
        documents[uri] = params['contentChanges'][0]['text']
    elif method == 'textDocument/didClose':
        note('close' if known else 'close what?')
        documents.pop(uri, None)
    else:
        note(method)


def serve(faults):
    """Until exit, or the end of the input."""
    for message in iter(hear, None):
        method = message.get('method')
        keep_documents(method, message.get('params') or {})
        if method in faults:
            faults[method](message)
        elif method == 'exit':
            break
        elif 'id' in message:
            answer(message)


def main(arguments):
    global log
    faults = {}
    while arguments:
        word = arguments.pop(0)
        if word == '--log':
            log = os.open(arguments.pop(0),
                          os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        elif word == '--deaf':
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        elif word == '--once':
            try:
                os.close(os.open(arguments.pop(0), os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                arguments = []
        else:
            method, fault = word.split('=')
            name = f'textDocument/{method}' if method.startswith(
                'document') else method
            faults[name] = FAULTS[fault]
    if 'start' in faults:
        faults['start'](None)
    serve(faults)
    os._exit(0)


if __name__ == '__main__':
    main(sys.argv[1:])
