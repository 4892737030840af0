import java.lang.reflect.Type;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Scanner;
import java.util.UUID;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;

import jakarta.websocket.ContainerProvider;
import jakarta.websocket.WebSocketContainer;
import org.springframework.messaging.converter.JacksonJsonMessageConverter;
import org.springframework.messaging.simp.stomp.StompCommand;
import org.springframework.messaging.simp.stomp.StompFrameHandler;
import org.springframework.messaging.simp.stomp.StompHeaders;
import org.springframework.messaging.simp.stomp.StompSession;
import org.springframework.messaging.simp.stomp.StompSessionHandlerAdapter;
import org.springframework.scheduling.concurrent.ThreadPoolTaskScheduler;
import org.springframework.web.client.RestClient;
import org.springframework.web.socket.client.standard.StandardWebSocketClient;
import org.springframework.web.socket.messaging.WebSocketStompClient;
import org.springframework.web.util.UriComponentsBuilder;

/**
 * Spring's WebSocketStompClient: sends each line you type to the room with user 2 and prints what is written there. It shows
 * refusals, comes back after a lost connection without missing or repeating anything, and stays away when the service has
 * ended its session. All that changes happens on the one thread of the scheduler.
 */
public class Chat extends StompSessionHandlerAdapter {
  static final String TOKEN = System.getenv("TOKEN");
  static final String API = System.getenv().getOrDefault("API", "http://127.0.0.1:7071");
  static final String CHAT = System.getenv().getOrDefault("CHAT", "ws://127.0.0.1:8080/client/hubs/chat");

  record Room(long roomId) {}
  record Outgoing(long roomId, String content, String clientMessageId) {}
  record Incoming(long seq, String senderNickname, String content) {}
  /** Of an ERROR frame and of a refusal. */
  record Problem(String code, String message, Integer retryAfter, String clientMessageId) {}
  record SessionClosed(String reason) {}

  final ThreadPoolTaskScheduler scheduler = new ThreadPoolTaskScheduler();
  final WebSocketStompClient client;
  final long roomId;
  StompSession session; // null while there is none
  ScheduledFuture<?> comingBack;
  long delayMs = 1_000;
  long lastSeq = 0; // of the last message that was printed
  final Queue<Outgoing> outbox = new ArrayDeque<>(); // what the service has not accepted yet, the first of it on its way

  Chat(long roomId) {
    this.roomId = roomId;
    scheduler.initialize();
    WebSocketContainer container = ContainerProvider.getWebSocketContainer();
    container.setDefaultMaxTextMessageBufferSize(128 * 1024); // Tomcat's 8 KiB are less than a long message
    client = new WebSocketStompClient(new StandardWebSocketClient(container));
    client.setInboundMessageSizeLimit(128 * 1024);
    client.setMessageConverter(new JacksonJsonMessageConverter());
    client.setTaskScheduler(scheduler);
    // The service sends something at least once a minute, so that a dead network is noticed after three.
    client.setDefaultHeartbeat(new long[] {0, 60_000});
  }

  void connect() {
    // A token that can run out belongs here: ask for a new one each time.
    var url = UriComponentsBuilder.fromUriString(CHAT).queryParam("token", TOKEN).build().toUri();
    client.connectAsync(url, null, null, this).orTimeout(20, TimeUnit.SECONDS).exceptionally(failure -> {
      scheduler.execute(() -> comeBack(failure));
      return null;
    });
  }

  void comeBack(Throwable failure) {
    if (comingBack != null && !comingBack.isDone()) return;
    session = null;
    System.err.println("not connected, trying again: " + failure.getMessage());
    comingBack = scheduler.schedule(this::connect, Instant.now().plusMillis(delayMs));
    delayMs = Math.min(delayMs * 2, 30_000);
  }

  @Override
  public void afterConnected(StompSession connected, StompHeaders headers) {
    scheduler.execute(() -> {
      if (session != null) {
        connected.disconnect(); // one that was given up, and came after all
        return;
      }
      System.err.println("connected");
      session = connected;
      session.setAutoReceipt(true);
      delayMs = 1_000;
      // First, so that the others' refusals come there.
      session.subscribe("/user/queue/errors", on(Problem.class, this::refused));
      session.subscribe("/user/queue/session", on(SessionClosed.class,
          (ignored, closed) -> System.err.println("session ended: " + closed.reason)));
      joinRoom();
      sendFirst();
    });
  }

  /** What was written since the last printed message comes first; at the very first time the last 200. */
  void joinRoom() {
    var headers = new StompHeaders();
    headers.setDestination("/sub/chat/room/" + roomId);
    headers.set("last-seq", String.valueOf(lastSeq));
    session.subscribe(headers, on(Incoming.class, this::print));
  }

  /** One after the other, so that they stay in order. Sent again with the same clientMessageId, it is stored once. */
  void sendFirst() {
    Outgoing first = outbox.peek();
    if (first == null || session == null) return;
    var headers = new StompHeaders();
    headers.setDestination("/pub/chat/message");
    headers.setReceipt(first.clientMessageId);
    session.send(headers, first).addReceiptTask(() -> scheduler.execute(() -> {
      System.err.println("accepted");
      sendNext(first.clientMessageId);
    }));
  }

  void sendNext(String done) {
    if (outbox.isEmpty() || !outbox.peek().clientMessageId.equals(done)) return;
    outbox.remove();
    sendFirst();
  }

  void print(StompHeaders headers, Incoming message) {
    if (message.seq <= lastSeq) return;
    if (headers.containsKey("gap")) System.err.println("more than 200 were missed: the history has the others");
    lastSeq = message.seq;
    System.out.println(message.senderNickname + ": " + message.content);
  }

  void refused(StompHeaders headers, Problem problem) {
    System.err.println("refused: " + problem.code + " " + problem.message);
    if (!passes(problem)) {
      sendNext(problem.clientMessageId);
      return;
    }
    long seconds = problem.retryAfter == null ? 1 : problem.retryAfter;
    // What has no clientMessageId is the SUBSCRIBE to the room.
    Runnable again = problem.clientMessageId == null ? this::joinRoom : this::sendFirst;
    scheduler.schedule(again, Instant.now().plusSeconds(seconds));
  }

  /** Whether the same can be sent again. */
  static boolean passes(Problem problem) {
    return List.of("UNAVAILABLE", "RATE_LIMIT_EXCEEDED").contains(problem.code);
  }

  @Override
  public Type getPayloadType(StompHeaders headers) {
    return Problem.class;
  }

  /**
   * An ERROR frame, the service's last word before it closes. After SESSION_CLOSED (another device has the place, or a logout)
   * coming back would only end the other one; and what else comes here would come again, unless it passes.
   */
  @Override
  public void handleFrame(StompHeaders headers, Object payload) {
    Problem problem = (Problem) payload;
    System.err.println("closed: " + problem.code + " " + problem.message);
    if (!passes(problem)) System.exit(1);
  }

  @Override
  public void handleTransportError(StompSession lost, Throwable failure) {
    scheduler.execute(() -> comeBack(failure));
  }

  @Override
  public void handleException(StompSession session, StompCommand command, StompHeaders headers, byte[] payload,
      Throwable failure) {
    failure.printStackTrace(); // Spring says nothing of what went wrong in a handler
  }

  interface Handler<T> {
    void handle(StompHeaders headers, T payload);
  }

  <T> StompFrameHandler on(Class<T> type, Handler<T> handler) {
    return new StompFrameHandler() {
      @Override
      public Type getPayloadType(StompHeaders headers) {
        return type;
      }

      @Override
      public void handleFrame(StompHeaders headers, Object payload) {
        scheduler.execute(() -> handler.handle(headers, type.cast(payload)));
      }
    };
  }

  public static void main(String[] args) {
    Room room = RestClient.create(API).post().uri("/api/v1/chat/rooms")
        .header("Authorization", "Bearer " + TOKEN)
        .body(Map.of("targetUserId", 2))
        .retrieve().body(Room.class);
    Chat chat = new Chat(room.roomId);
    chat.scheduler.execute(chat::connect);
    var lines = new Scanner(System.in);
    while (lines.hasNextLine()) {
      var message = new Outgoing(room.roomId, lines.nextLine(), UUID.randomUUID().toString());
      chat.scheduler.execute(() -> {
        chat.outbox.add(message);
        if (chat.outbox.size() == 1) chat.sendFirst();
      });
    }
  }
}
