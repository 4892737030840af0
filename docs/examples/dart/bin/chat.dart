// NOT RUN BY OUR TESTS: there is no Dart where they run. It follows the source of stomp_dart_client 2.1.3.
//
// stomp_dart_client: sends each line you type to the room with user 2 and prints what is written there. It shows refusals,
// comes back after a lost connection without missing or repeating anything, and stays away when the service has ended its
// session.
import 'dart:async';
import 'dart:convert';
import 'dart:io';
import 'dart:math';

import 'package:stomp_dart_client/stomp_dart_client.dart';

final token = Platform.environment['TOKEN'];
final api = Platform.environment['API'] ?? 'http://127.0.0.1:7071';
final chat = Platform.environment['CHAT'] ?? 'ws://127.0.0.1:8080/client/hubs/chat';

late final StompClient client;
late final int roomId;
int lastSeq = 0; // of the last message that was printed
final outbox = <({String id, String content})>[]; // what the service has not accepted yet, the first of it on its way

/// Whether the same can be sent again.
bool passes(String code) => code == 'UNAVAILABLE' || code == 'RATE_LIMIT_EXCEEDED';

Future<void> main() async {
  roomId = await openRoom();
  client = StompClient(
    config: StompConfig(
      // A token that can run out: make a new client with a new one.
      url: '$chat?token=$token',
      connectionTimeout: const Duration(seconds: 20),
      reconnectDelay: const Duration(seconds: 5),
      // The service sends something at least once a minute, so that a dead network is noticed within three.
      heartbeatIncoming: const Duration(minutes: 1),
      heartbeatOutgoing: Duration.zero,
      onConnect: connected,
      onUnhandledReceipt: (frame) {
        stderr.writeln('accepted');
        sendNext(frame.headers['receipt-id']);
      },
      onStompError: ended,
      onWebSocketError: (error) => stderr.writeln('not connected, trying again: $error'),
    ),
  );
  client.activate();
  stdin.transform(utf8.decoder).transform(const LineSplitter()).listen((content) {
    outbox.add((id: newId(), content: content));
    if (outbox.length == 1) sendFirst();
  });
}

void connected(StompFrame _) {
  stderr.writeln('connected');
  // First, so that the others' refusals come there.
  client.subscribe(destination: '/user/queue/errors', callback: refused);
  client.subscribe(
    destination: '/user/queue/session',
    callback: (frame) => stderr.writeln('session ended: ${jsonDecode(frame.body!)['reason']}'),
  );
  joinRoom();
  sendFirst();
}

/// What was written since the last printed message comes first; at the very first time the last 200.
void joinRoom() => client.subscribe(
      destination: '/sub/chat/room/$roomId',
      headers: {'last-seq': '$lastSeq'},
      callback: show,
    );

/// One after the other, so that they stay in order. Sent again with the same clientMessageId, it is stored once.
void sendFirst() {
  if (outbox.isEmpty || !client.connected) return;
  final (:id, :content) = outbox.first;
  client.send(
    destination: '/pub/chat/message',
    headers: {'receipt': id},
    body: jsonEncode({'roomId': roomId, 'content': content, 'clientMessageId': id}),
  );
}

void sendNext(String? done) {
  if (outbox.isEmpty || outbox.first.id != done) return;
  outbox.removeAt(0);
  sendFirst();
}

void show(StompFrame frame) {
  final message = jsonDecode(frame.body!);
  if (message['seq'] <= lastSeq) return;
  if (frame.headers.containsKey('gap')) stderr.writeln('more than 200 were missed: the history has the others');
  lastSeq = message['seq'];
  print('${message['senderNickname']}: ${message['content']}');
}

void refused(StompFrame frame) {
  final problem = jsonDecode(frame.body!);
  stderr.writeln('refused: ${problem['code']} ${problem['message']}');
  if (!passes(problem['code'])) return sendNext(problem['clientMessageId']);
  // What has no clientMessageId is the SUBSCRIBE to the room.
  final again = problem['clientMessageId'] == null ? joinRoom : sendFirst;
  Timer(Duration(seconds: problem['retryAfter'] ?? 1), again);
}

/// An ERROR frame, the service's last word before it closes. After SESSION_CLOSED (another device has the place, or a logout)
/// coming back would only end the other one; and what else comes here would come again, unless it passes.
void ended(StompFrame frame) {
  final problem = jsonDecode(frame.body!);
  stderr.writeln('closed: ${problem['code']} ${problem['message']}');
  if (passes(problem['code'])) return;
  client.deactivate();
  exit(1);
}

Future<int> openRoom() async {
  final request = await HttpClient().postUrl(Uri.parse('$api/api/v1/chat/rooms'));
  request.headers.set('Authorization', 'Bearer $token');
  request.write(jsonEncode({'targetUserId': 2}));
  final response = await request.close();
  final body = await utf8.decodeStream(response);
  if (response.statusCode >= 300) throw Exception('no room, is TOKEN set? $body');
  return jsonDecode(body)['roomId'];
}

String newId() {
  final random = Random.secure();
  return List.generate(16, (_) => random.nextInt(256).toRadixString(16).padLeft(2, '0')).join();
}
